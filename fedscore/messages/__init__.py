"""What the server and the nodes say to each other, and how it travels in Flower's records.

`protocol`, which this package re-exports, knows nothing of Flower; `codec` is the one place where a message
meets a Flower record, and is imported by those who carry messages.
"""

from fedscore.messages.protocol import ASK_DOMAIN, SOFTWARE, Ask, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.transcript import Head

__all__ = ["ASK_DOMAIN", "SOFTWARE", "Ask", "Head", "Phase", "Refusal", "RefusalCode", "Reply"]
