"""The codec ``pickled``: plain Python values as pickles, for programs that know nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from anyplug.codec.base import Codec
from anyplug.codec.pickle_reader import read_pickle
from anyplug.codec.pickle_writer import write_pickle
from anyplug.codec.structured import DECODE_FAULTS, ENCODE_FAULTS, decode_error, encode_error
from anyplug.codec.typed import check_type
from anyplug.errors import EncodeError
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from anyplug.limits import Limits

__all__ = ["PickledCodec"]

T = TypeVar("T")


class PickledCodec(Codec[T]):
    """Builtin values as pickles: None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset.

    ``pickle.loads`` of every Python 3 reads what it writes. What it reads itself is data only: nothing in a message is
    imported, called or set, whatever it says. With ``type=``, Structs and dataclasses are written as dictionaries of
    their fields (and sets beside them as lists); what is read is converted into the type and checked.

    Parts that are shared arrive shared: change one, and it changes in every place. Written out each time, a message may
    not be larger than `Limits.message`. A value that contains itself is written, for plain programs, but not read.

    Raises:
        LocalError: ``type=`` is nothing that can be decoded into.
    """

    __slots__ = ("_kind", "_limits")

    name: ClassVar[str] = "pickled"

    def __init__(self, kind: Any = Any, *, limits: Limits = DEFAULTS) -> None:
        check_type(self.name, kind, known=(complex,))
        self._limits = limits
        self._kind = kind

    def encode(self, message: T) -> bytes:
        """The message as a pickle; it is not checked against the type.

        Raises:
            EncodeError: it holds anything else than builtin values; says where.
        """
        try:
            return write_pickle(message, limits=self._limits)
        except EncodeError:
            if self._kind is Any:
                raise
        return self._encode_fields(message)

    def _encode_fields(self, message: T) -> bytes:
        try:
            return self._write_fields(message)
        except (*ENCODE_FAULTS, EncodeError) as error:
            limit = self._limits.nesting
            raise encode_error(self.name, message, error, encode=self._write_fields, limit=limit) from error

    def _write_fields(self, part: object) -> bytes:
        return write_pickle(msgspec.to_builtins(part, builtin_types=(bytes,)), limits=self._limits)

    def decode(self, body: bytes) -> T:
        """The value in a pickle, converted into the type.

        Raises:
            DecodeError: an opcode that is more than data, a damaged pickle, a limit passed, or another type.
        """
        try:
            value: Any = read_pickle(body, limits=self._limits)
            return value if self._kind is Any else msgspec.convert(value, self._kind)  # type: ignore[no-any-return]
        except DECODE_FAULTS as error:
            raise decode_error(self.name, error, self._limits.nesting) from error
