"""The contactless side: a PN532 reader on its serial line and the badges that people hold against it."""

from hal_sim.badge.pn532 import Pn532
from hal_sim.badge.tags import Ntag21x, Tag, Type4A, UidOnlyTag, tag_for_number

__all__ = ["Ntag21x", "Pn532", "Tag", "Type4A", "UidOnlyTag", "tag_for_number"]
