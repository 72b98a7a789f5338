"""Wayne DART: codec, line master and profiles.

Facts from reference dispenser-protocols section 1; not endorsed by, nor licensed from, a vendor.
"""
