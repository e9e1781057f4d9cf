"""The conformance suite of stores of files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from anyplug.errors import LocalError, StoreError, StoreFull, TooLarge
from anyplug.file_errors import Mismatch, NotThere, TakenOver
from anyplug.store.chunks import CHUNK, chunk_digest, file_digest, split
from anyplug.store.files import FileLimits, Finish, Offer, Small

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from anyplug.store.files import FileStore, Lease, StoredFile

__all__ = ["CrashFiles", "MakeFiles", "check_file_store"]

MakeFiles: TypeAlias = Callable[[FileLimits], Awaitable["FileStore"]]
"""Opens an empty store of files."""

CrashFiles: TypeAlias = Callable[["FileStore"], Awaitable["FileStore"]]
"""What is left of a store whose process is killed at this moment, opened anew. The old one may be closed afterwards."""

LIMITS: Final = FileLimits(file=8 * CHUNK, bytes=32 * CHUNK, files=60, transfers=8, free=0)
"""The bounds of the stores that are checked."""

PATIENCE: Final = 20.0

DATA: Final = bytes(range(256)) * (CHUNK // 128) + b"the end"
"""Two chunks that are alike, and a short one."""


async def check_file_store(make: MakeFiles, *, crash: CrashFiles | None = None) -> None:
    """Check that a store of files keeps the contract of `FileStore`.

    Args:
        make: opens an empty one with these bounds; called once for each check.
        crash: kills one and opens it anew; None for a store that promises nothing beyond the process.

    Raises:
        AssertionError: it does not; says what was done, what came and what was expected.
    """
    checks = [
        _check_upload,
        _check_any_order,
        _check_unknown_size,
        _check_lies,
        _check_take_over,
        _check_abandon,
        _check_names,
        _check_replace,
        _check_again,
        _check_readers,
        _check_listing,
        _check_bounds,
        _check_many,
        _check_end,
    ]
    for check in checks:
        store = await make(LIMITS)
        try:
            await asyncio.wait_for(check(store), PATIENCE)
        finally:
            await store.close()
    if crash is not None:
        await _check_crash(make, crash)


def _fail(told: str, *, got: object, expected: object) -> NoReturn:
    raise AssertionError(f"{told}: got {got!r}, expected {expected!r}")


def _expect(told: str, got: object, expected: object) -> None:
    if got != expected:
        _fail(told, got=got, expected=expected)


async def _refused(told: str, call: Coroutine[object, object, object], kind: type[Exception]) -> None:
    try:
        got = await call
    except kind:
        return
    _fail(told, got=got, expected=kind.__name__)


def _digest(data: bytes) -> bytes:
    return file_digest(b"".join(chunk_digest([chunk]) for chunk in split(data)), len(data))


async def _write(lease: Lease, data: bytes, *indexes: int) -> None:
    chunks = list(split(data))
    for index in indexes or range(len(chunks)):
        await lease.write(index, chunks[index], digest=chunk_digest([chunks[index]]))


async def _put(store: FileStore, label: str, data: bytes, *, replace: bool = False, now: int = 1) -> StoredFile:
    lease = await store.begin(Offer(label=label, size=len(data), replace=replace), now=now)
    await _write(lease, data)
    return await lease.finish(_digest(data), now=now)


async def _content(store: FileStore, name: str) -> bytes:
    async with await store.reader(name) as reader:
        return await reader.read(0, reader.file.size)


async def _names(store: FileStore) -> list[str]:
    return [file.name for file in await store.list()]


async def _check_upload(store: FileStore) -> None:
    """An upload is seen when it is finished, and not before."""
    offer = Offer(label="a/b.bin", size=len(DATA), modified=10**18, content_type="t/t", sender="s")
    lease = await store.begin(offer, now=5)
    _expect("missing of a new transfer", list(lease.missing()), [(0, 3)])
    await _write(lease, DATA)
    _expect("missing when all is written", list(lease.missing()), [])
    _expect("files before the finish", await _names(store), [])
    await _refused("get before the finish", store.get("a/b.bin"), NotThere)
    file = await lease.finish(_digest(DATA), now=7)
    facts = (file.name, file.label, file.size, file.digest, file.stored, file.modified, file.content_type, file.sender)
    _expect("the file", facts, ("a/b.bin", "a/b.bin", len(DATA), _digest(DATA), 7, 10**18, "t/t", "s"))
    _expect("the file of its name", await store.get("a/b.bin"), file)
    _expect("the file of its transfer", await store.finished(lease.id), file)
    _expect("its content", await _content(store, "a/b.bin") == DATA, True)
    _expect("transfers after the finish", list(await store.transfers()), [])
    await _refused("finish of a finished transfer", lease.finish(now=8), TakenOver)
    empty = await _put(store, "empty", b"")
    _expect("an empty file", (empty.size, empty.digest, await _content(store, "empty")), (0, _digest(b""), b""))


async def _check_any_order(store: FileStore) -> None:
    """Chunks come in any order, in parts, at once, and twice."""
    lease = await store.begin(Offer(label="x", size=len(DATA)), now=1)
    await _write(lease, DATA, 2)
    _expect("missing behind the last", list(lease.missing()), [(0, 2)])
    await lease.write(0, [DATA[:5], b"", memoryview(DATA)[5:CHUNK]])
    _expect("missing between", list(lease.missing()), [(1, 2)])
    await asyncio.gather(*(_write(lease, DATA, 1) for _ in range(3)))
    _expect("bytes received", lease.received, len(DATA))
    await lease.finish(now=1)
    _expect("content written in any order", await _content(store, "x") == DATA, True)


async def _check_unknown_size(store: FileStore) -> None:
    """A size that nobody knows is known at the end."""
    lease = await store.begin(Offer(label="x"), now=1)
    await _write(lease, DATA, 0)
    await _refused("a short chunk before another", _short_first(store), Mismatch)
    await _write(lease, DATA, 1, 2)
    await _refused("a chunk past the short one", lease.write(3, b"x"), Mismatch)
    await _refused("finish with another size", lease.finish(size=CHUNK, now=1), Mismatch)
    file = await lease.finish(_digest(DATA), size=len(DATA), now=1)
    _expect("the size", file.size, len(DATA))
    lease = await store.begin(Offer(label="empty"), now=1)
    _expect("the size of nothing", (await lease.finish(now=1)).size, 0)
    lease = await store.begin(Offer(label="large"), now=1)
    await _refused("a chunk past the largest file", lease.write(8, DATA[:CHUNK]), TooLarge)


async def _short_first(store: FileStore) -> None:
    lease = await store.begin(Offer(label="y"), now=1)
    await _write(lease, DATA, 1)
    try:
        await lease.write(0, b"short")
    finally:
        await lease.abandon()


async def _check_lies(store: FileStore) -> None:
    """What is not what was said is refused, and costs nothing of what is there."""
    lease = await store.begin(Offer(label="x", size=len(DATA)), now=1)
    await _write(lease, DATA, 0)
    other = bytes(CHUNK)
    for told, call in (
        ("a chunk with another digest", lambda: lease.write(1, other, digest=chunk_digest([DATA[:CHUNK]]))),
        ("a short chunk in the middle", lambda: lease.write(1, b"short")),
        ("a long last chunk", lambda: lease.write(2, DATA[:CHUNK])),
        ("a chunk beyond the end", lambda: lease.write(3, b"x")),
        ("a chunk far beyond the end", lambda: lease.write(1 << 60, b"x")),
        ("a chunk before the beginning", lambda: lease.write(-1, other)),
        ("another chunk in a place that is taken", lambda: lease.write(0, other)),
        ("finish with a gap", lambda: lease.finish(now=1)),
    ):
        await _refused(told, call(), Mismatch)
    _expect("missing after lies", list(lease.missing()), [(1, 3)])
    await _write(lease, DATA, 1, 2)
    await _refused("finish with another digest", lease.finish(_digest(b"other"), now=1), Mismatch)
    await _refused("finish with another size", lease.finish(size=1, now=1), Mismatch)
    _expect("files after lies", await _names(store), [])
    await lease.finish(_digest(DATA), now=1)
    _expect("content after lies", await _content(store, "x") == DATA, True)
    await _refused("an offer of a negative size", store.begin(Offer(label="x", size=-1), now=1), LocalError)
    await _refused("an offer from no time", store.begin(Offer(label="x", modified=1 << 63), now=1), LocalError)
    small = Small(Offer(label="s", size=3), b"four")
    _expect("a small file of another size", type((await store.put_many([small], now=1))[0]), Mismatch)


async def _check_take_over(store: FileStore) -> None:
    """The newest lease wins, at once; what was written stays."""
    old = await store.begin(Offer(label="x", size=len(DATA)), now=1)
    await _write(old, DATA, 0)
    new = await store.resume(old.id)
    _expect("missing after a take-over", list(new.missing()), [(1, 3)])
    await _refused("a write of the old lease", old.write(1, DATA[:CHUNK]), TakenOver)
    await _refused("a sync of the old lease", old.sync(), TakenOver)
    await _refused("a finish of the old lease", old.finish(now=1), TakenOver)
    await _refused("an abandon of the old lease", old.abandon(), TakenOver)
    await old.release()
    _expect("held after a late release", [each.held for each in await store.transfers()], [True])
    await _write(new, DATA, 1)
    await new.sync()
    await new.release()
    (resting,) = await store.transfers()
    _expect("a transfer that rests", (resting.id, resting.received, resting.held), (old.id, 2 * CHUNK, False))
    await _refused("a write after the release", new.write(2, DATA[2 * CHUNK :]), TakenOver)
    newest = await store.resume(old.id)
    _expect("missing after a rest", list(newest.missing()), [(2, 3)])
    await _write(newest, DATA, 2)
    await newest.finish(_digest(DATA), now=1)
    _expect("content after breaks", await _content(store, "x") == DATA, True)
    await _refused("a transfer that is finished", store.resume(old.id), NotThere)
    await _refused("a transfer that never was", store.resume("../x"), NotThere)


async def _check_abandon(store: FileStore) -> None:
    """What is abandoned, or rests for too long, is forgotten."""
    lease = await store.begin(Offer(label="x", size=CHUNK), now=1)
    await _write(lease, bytes(CHUNK))
    await lease.abandon()
    await _refused("a transfer that is abandoned", store.resume(lease.id), NotThere)
    await _refused("a write to it", lease.write(0, bytes(CHUNK)), TakenOver)
    lease = await store.begin(Offer(label="x", size=CHUNK), now=1)
    _expect("what expires while it is held", list(await store.expire(1 << 62)), [])
    await lease.release()
    _expect("what expires too early", list(await store.expire(0)), [])
    _expect("what expires", [each.id for each in await store.expire(1 << 62)], [lease.id])
    _expect("transfers left", list(await store.transfers()), [])
    usage = await store.usage()
    _expect("room taken by nothing", (usage.files, usage.bytes, usage.transfers, usage.reserved), (0, 0, 0, 0))


async def _check_names(store: FileStore) -> None:
    """Labels that some disk takes for one become different names, which all lead to their files."""
    labels = ["p.jpg", "P.JPG", "../x", "_/x", "é", "e\u0301", "n", "n/x", "d/x", "d", "D/X", "a:b", "a_b", "nul"]
    names = []
    for number, label in enumerate(labels):
        file = await _put(store, label, b"%d" % number)
        _expect("the label", file.label, label)
        names.append(file.name)
    folded = {name.casefold() for name in names}
    _expect("names of twins", len(folded), len(labels))
    _expect("a numbered name", names[1], "P (2).JPG")
    _expect("a file in a folder whose name a file has", names[7], "n (2)/x")
    _expect("a file whose name a folder has", names[9], "d (2)")
    for number, name in enumerate(names):
        _expect(f"the content of {name!r}", await _content(store, name), b"%d" % number)
    _expect("a file by its label", (await store.get("nul")).name, "_nul")
    for name in ("\ud800", "nothing", "", "../../etc/passwd", "x\0y"):
        await _refused(f"a file named {name!r}", store.get(name), NotThere)
        await _refused(f"deleting {name!r}", store.delete(name), NotThere)
        _expect(f"a transfer named {name!r}", await store.finished(name), None)
        await store.list(name, after=name)


async def _check_replace(store: FileStore) -> None:
    """A name gets another file only where that was asked for."""
    first = await _put(store, "x", b"first")
    second = await _put(store, "x", b"second")
    _expect("the name of the second", second.name, "x (2)")
    third = await _put(store, "x", b"third", replace=True)
    _expect("the name of the one that replaces", third.name, "x")
    _expect("names", await _names(store), ["x", "x (2)"])
    _expect("content", [await _content(store, each) for each in ("x", "x (2)")], [b"third", b"second"])
    _expect("usage", ((await store.usage()).files, (await store.usage()).bytes), (2, 11))
    _expect("replacing nothing", (await _put(store, "y", b"y", replace=True)).name, "y")
    deleted = await store.delete("x")
    _expect("what was deleted", deleted, third)
    await _refused("what was deleted, again", store.delete("x"), NotThere)
    _expect("a name that is free again", (await _put(store, "x", b"fourth")).name, "x")
    _expect("the first is gone", first.digest in {file.digest for file in await store.list()}, False)


async def _check_again(store: FileStore) -> None:
    """The same file under the same label, again, is no second one."""
    file = await _put(store, "x", DATA)
    _expect("a file that comes again", await _put(store, "x", DATA, now=9), file)
    smalls = [Small(Offer(label="s"), b"s")] * 3
    results = await store.put_many(smalls, now=1)
    _expect("names of small files that come again", [getattr(each, "name", each) for each in results], ["s"] * 3)
    _expect("names", await _names(store), ["s", "x"])


async def _check_readers(store: FileStore) -> None:
    """A reader reads ranges of what it opened, whatever becomes of the name."""
    await _put(store, "x", DATA)
    reader = await store.reader("x")
    await _put(store, "x", b"other", replace=True)
    _expect("the name after it was replaced", await _content(store, "x"), b"other")
    await store.delete("x")
    _expect("digests", await reader.digests(2, 1), chunk_digest([DATA[2 * CHUNK :]]))
    _expect("digests from 1 on", len(await reader.digests(1)), 64)
    _expect("a chunk", await reader.chunk(2), b"the end")
    for offset, size in ((0, 0), (0, 3), (CHUNK - 1, 2), (CHUNK, CHUNK), (2 * CHUNK - 1, 99), (len(DATA), 5)):
        found = await reader.read(offset, size)
        _expect(f"{size} bytes from {offset} on", found == DATA[offset : offset + size], True)
    await _refused("a chunk beyond the end", reader.chunk(3), LocalError)
    await _refused("bytes beyond the end", reader.read(len(DATA) + 1, 1), LocalError)
    await reader.close()
    await reader.close()
    await _refused("a file that is gone", store.reader("x"), NotThere)


async def _check_listing(store: FileStore) -> None:
    """Files are listed by folder, in order, in pages."""
    for label in ("b/2", "a", "b/10", "C", "b/c/d", "bb"):
        await _put(store, label, label.encode())
    everything = ["a", "b/10", "b/2", "b/c/d", "bb", "C"]
    _expect("all files", await _names(store), everything)
    for folder in ("b", "b/", "B", "/b"):
        _expect(f"files in {folder!r}", [each.name for each in await store.list(folder)], ["b/10", "b/2", "b/c/d"])
    page = await store.list(after="b/10", limit=2)
    _expect("a page", [each.name for each in page], ["b/2", "b/c/d"])
    _expect("past the end", list(await store.list(after="C")), [])
    _expect("findings", list(await store.check()), [])


async def _check_bounds(store: FileStore) -> None:
    """Each bound is kept before a byte is taken."""
    await _refused("a file that is too large", store.begin(Offer(label="x", size=8 * CHUNK + 1), now=1), TooLarge)
    await _refused("one of 10 GiB", store.begin(Offer(label="x", size=10 << 30), now=1), TooLarge)
    leases = [await store.begin(Offer(label=f"{n}", size=8 * CHUNK), now=1) for n in range(4)]
    await _refused("bytes that are announced already", store.begin(Offer(label="x", size=1), now=1), StoreFull)
    unknown = await store.begin(Offer(label="y"), now=1)
    await _refused("bytes that nobody announced", unknown.write(0, DATA[:CHUNK]), StoreFull)
    full = await store.put_many([Small(Offer(label="s"), b"s")], now=1)
    _expect("a small file in a full store", type(full[0]), StoreFull)
    await leases.pop().abandon()
    await unknown.write(0, DATA[:CHUNK])
    await unknown.finish(now=1)
    more = [await store.begin(Offer(label=f"z{n}", size=0), now=1) for n in range(5)]
    await _refused("one transfer too many", store.begin(Offer(label="z", size=0), now=1), StoreFull)
    for lease in [*leases, *more]:
        await lease.abandon()
    smalls = [Small(Offer(label=f"{n}"), b"%d" % n) for n in range(60)]
    results = await store.put_many(smalls, now=1)
    _expect("files that fit", sum(not isinstance(each, Exception) for each in results), 59)
    _expect("the file that does not", type(results[59]), StoreFull)
    await _refused("a transfer that would be one too many", store.begin(Offer(label="z"), now=1), StoreFull)


async def _check_many(store: FileStore) -> None:
    """Many are finished at once, each for itself."""
    leases = [await store.begin(Offer(label="same", size=1), now=1) for _ in range(6)]
    for number, lease in enumerate(leases[:5]):
        await lease.write(0, b"%d" % number)
    results = await store.finish_many([Finish(lease) for lease in leases], now=1)
    _expect("the one that is not whole", type(results[5]), Mismatch)
    names = {each.name for each in results if not isinstance(each, Exception)}
    _expect("names", names, {"same", *(f"same ({n})" for n in range(2, 6))})
    _expect("contents", sorted([await _content(store, name) for name in names]), [b"0", b"1", b"2", b"3", b"4"])
    await leases[5].write(0, b"5")
    _expect("the one that was not whole", (await leases[5].finish(now=1)).name, "same (6)")
    replacing = [Small(Offer(label="same", replace=True), b"r%d" % n) for n in range(3)]
    together = [store.put_many([each], now=1) for each in replacing]
    outcomes = [(await each)[0] for each in map(asyncio.ensure_future, together)]
    _expect("names of those that replace", {getattr(each, "name", each) for each in outcomes}, {"same"})
    _expect("files", (await store.usage()).files, 6)


async def _check_end(store: FileStore) -> None:
    """Nothing goes on after the end."""
    lease = await store.begin(Offer(label="x", size=CHUNK), now=1)
    _expect("the state", store.state, "open")
    await store.close()
    _expect("the state after the end", store.state, "closed")
    for told, call in (
        ("begin", lambda: store.begin(Offer(label="y"), now=1)),
        ("list", store.list),
        ("get", lambda: store.get("x")),
        ("put_many", lambda: store.put_many([], now=1)),
        ("usage", store.usage),
    ):
        await _refused(f"{told} after the end", call(), StoreError)
    await _refused("write after the end", lease.write(0, bytes(CHUNK)), LocalError)


async def _check_crash(make: MakeFiles, crash: CrashFiles) -> None:
    store = await make(LIMITS)
    file = await _put(store, "there", DATA)
    lease = await store.begin(Offer(label="half", size=len(DATA), modified=3, sender="s"), now=1)
    await _write(lease, DATA, 0, 2)
    store = await crash(store)
    try:
        _expect("files after a crash", list(await store.list()), [file])
        _expect("content after a crash", await _content(store, "there") == DATA, True)
        again = await store.resume(lease.id)
        _expect("the offer after a crash", again.offer, lease.offer)
        _expect("missing after a crash", list(again.missing()), [(1, 2)])
        await _write(again, DATA, 1)
        await again.finish(_digest(DATA), now=2)
        _expect("content after a crash and a resume", await _content(store, "half") == DATA, True)
        _expect("a transfer that was finished", await store.finished(lease.id), await store.get("half"))
        _expect("usage after a crash", (await store.usage()).bytes, 2 * len(DATA))
        await store.delete("there")
        store = await crash(store)
        _expect("files after a delete and a crash", await _names(store), ["half"])
        _expect("findings after crashes", list(await store.check()), [])
    finally:
        await store.close()
