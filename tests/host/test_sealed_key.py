"""A renewed private key lies sealed on the disk, is in clear in memory only, and one that an earlier version left in clear is sealed."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from terminal.host import certificates
from terminal.host.certificates import CLEAR, SEALED, Pair, PairError, PairShelf
from terminal.host.client import Answer
from terminal.host.sealed_key import KeySeal, in_memory, path_of
from tests.host.test_certificates import DAY, TODAY, Site
from tests.host.test_certificates import made as made

WORDS = (b"PRIVATE KEY", b"BEGIN EC")
Make = Callable[..., Site]


def pem() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def readable(folder: Path) -> list[str]:
    """Files here in which a private key, PEM or DER, can be read."""
    return [path.name for path in folder.rglob("*") if path.is_file() and any(word in path.read_bytes() for word in WORDS)]


def memory_files() -> int:
    """Files without a disk that this process holds."""
    found = 0
    for handle in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{handle}").startswith("/memfd:key")
        except OSError:
            continue
    return found


def commissioned(site: Site) -> Pair:
    return Pair(0, site.endpoint.certificate, site.endpoint.key)


def left_by_an_earlier_version(site: Site, folder: Path) -> bytes:
    """A renewed pair in use, its key in clear as it was kept before."""
    assert site.look().why == ""
    key = site.shelf.current.key.read_bytes()
    (folder / "1" / SEALED).unlink()
    (folder / "1" / CLEAR).write_bytes(key)
    return key


def test_a_renewed_key_is_in_no_file_and_the_host_takes_it(made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = certificates._write

    def noted(path: Path, content: bytes) -> None:
        written.append(content)
        write(path, content)

    monkeypatch.setattr(certificates, "_write", noted)
    site = made(244)
    assert site.look().why == ""
    assert len(written) == 3, "key, certificate, and which is in use"
    assert not any(word in content for content in written for word in WORDS), "not for a moment either"
    assert site.shelf.current.number == 1
    assert isinstance(site.time(), Answer)
    assert b"PRIVATE KEY" in site.shelf.current.key.read_bytes()
    assert site.shelf.current.key.parent == Path("/proc/self/fd")
    assert readable(tmp_path / "tls") == []
    secret = serialization.load_pem_private_key(site.shelf.current.key.read_bytes(), None)
    assert isinstance(secret, ec.EllipticCurvePrivateKey)
    scalar = secret.private_numbers().private_value.to_bytes(32, "big")
    assert not any(scalar in path.read_bytes() for path in (tmp_path / "tls").rglob("*") if path.is_file())
    site.shelf = PairShelf(tmp_path / "tls", commissioned(site))
    assert site.shelf.current.number == 1
    assert isinstance(site.time(), Answer)


def test_a_key_that_was_left_in_clear_is_used_and_sealed(made: Make, tmp_path: Path) -> None:
    site = made(244)
    key = left_by_an_earlier_version(site, tmp_path / "tls")
    assert readable(tmp_path / "tls") == [CLEAR]
    site.shelf = PairShelf(tmp_path / "tls", commissioned(site))
    assert site.shelf.current.number == 1
    assert site.shelf.current.key.read_bytes() == key
    assert isinstance(site.time(), Answer)
    assert readable(tmp_path / "tls") == []
    assert PairShelf(tmp_path / "tls", commissioned(site)).current.number == 1


@pytest.mark.parametrize("place", range(1, 5))
def test_power_that_goes_while_it_is_sealed_costs_no_certificate(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """Behind the new file, its name, the old file's end, and their sync."""
    site = made(244)
    left_by_an_earlier_version(site, tmp_path / "tls")
    steps = 0

    class PowerCut(BaseException):
        pass

    def cutting(step: Callable[..., object]) -> Callable[..., object]:
        def done(*given: object, **named: object) -> object:
            nonlocal steps
            result = step(*given, **named)
            steps += 1
            if steps == place:
                raise PowerCut
            return result

        return done

    with monkeypatch.context() as patched:
        for name in ("_write", "_sync"):
            patched.setattr(certificates, name, cutting(getattr(certificates, name)))
        patched.setattr(Path, "unlink", cutting(Path.unlink))
        with pytest.raises(PowerCut):
            PairShelf(tmp_path / "tls", commissioned(site))
    site.shelf = PairShelf(tmp_path / "tls", commissioned(site))
    assert site.shelf.current.number == 1
    assert isinstance(site.time(), Answer)
    assert readable(tmp_path / "tls") == []


def test_a_disk_that_takes_nothing_leaves_it_in_use(made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = made(244)
    left_by_an_earlier_version(site, tmp_path / "tls")

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(certificates, "_write", full)
    assert PairShelf(tmp_path / "tls", commissioned(site)).current.number == 1


def test_with_another_key_of_commissioning_nothing_is_opened(made: Make, tmp_path: Path) -> None:
    site = made(244)
    assert site.look().why == ""
    site.endpoint.key.write_bytes(pem())
    assert PairShelf(tmp_path / "tls", commissioned(site)).current.number == 0
    with pytest.raises(ValueError, match="not sealed with"):
        KeySeal(pem()).opened((tmp_path / "tls" / "1" / SEALED).read_bytes())


def test_without_a_key_of_commissioning_no_key_is_kept(made: Make, tmp_path: Path) -> None:
    """Rather none than one in clear."""
    site = made(244)
    site.endpoint.key.write_bytes(b"none")
    issued = site.authority.client("OPT1", TODAY, TODAY + 365 * DAY)
    with pytest.raises(PairError, match="commissioning"):
        site.shelf.put(issued.certificate, issued.key)
    assert readable(tmp_path / "tls") == []


def test_keys_that_nobody_uses_leave_the_memory(made: Make, tmp_path: Path) -> None:
    site = made(244)
    gc.collect()
    before = memory_files()
    for _ in range(3):
        issued = site.authority.client("OPT1", TODAY, TODAY + 365 * DAY)
        pair = site.shelf.put(issued.certificate, issued.key)
        assert site.shelf.following() == pair
        assert memory_files() == before + 1
        site.shelf.drop(pair)
    assert memory_files() == before
    site.look()
    assert memory_files() == before + 1
    site.shelf = PairShelf(tmp_path / "none", commissioned(site))
    gc.collect()
    assert memory_files() == before, "a shelf that is gone holds none: the program makes another after each failed write"


def test_a_file_in_memory_does_not_change_and_is_nobody_else_s() -> None:
    handle = in_memory(b"a key")
    try:
        assert path_of(handle).read_bytes() == path_of(handle).read_bytes() == b"a key"
        assert path_of(handle).stat().st_mode & 0o777 == 0o400
        assert not os.get_inheritable(handle)
        with pytest.raises(OSError, match="not permitted"):
            os.pwrite(handle, b"x", 0)
    finally:
        os.close(handle)
