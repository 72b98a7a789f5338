"""NXP's originality signature: does the chip's maker vouch for this UID? A filter against cheap imitations, no proof: it can be copied.

Source: NXP AN12196 rev. 2.0 and NT4H2421Gx rev. 3.0 (ECDSA on secp224r1, the UID itself in the place of the hash);
reference/security-and-reliability.md 2.3.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP224R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA224

SIGNATURE_BYTES = 56
_UID_BYTES = 7
_NUMBER_BYTES = 28

NTAG_424_KEY = bytes.fromhex(
    "048A9B380AF2EE1B98DC417FECC263F8449C7625CECE82D9B916C992DA209D68422B81EC20B65A66B5102A61596AF3379200599316A00A1410"
)
"""NXP's public key for NTAG 424 DNA (AN12196), uncompressed point."""


def is_original(uid: bytes, signature: bytes, public_key: bytes = NTAG_424_KEY) -> bool:
    """True when ``signature`` (56 bytes, r ‖ s) is NXP's over this 7-byte UID. Raises ``ValueError`` for a public key that is none."""
    key = EllipticCurvePublicKey.from_encoded_point(SECP224R1(), public_key)
    if len(uid) != _UID_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    r, s = (int.from_bytes(signature[at : at + _NUMBER_BYTES], "big") for at in (0, _NUMBER_BYTES))
    # The curve's number is made from the UID as it is: as long as a SHA-224, with zeros in front.
    try:
        key.verify(encode_dss_signature(r, s), uid.rjust(_NUMBER_BYTES, b"\x00"), ECDSA(Prehashed(SHA224())))
    except InvalidSignature:
        return False
    return True
