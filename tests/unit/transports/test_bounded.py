from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crashcart.transports.base import Output
from crashcart.transports.bounded import BoundedBuffer

PIECES = st.lists(st.binary(max_size=40), max_size=30)


def fed(pieces: list[bytes], keep: int) -> Output:
    buffer = BoundedBuffer(keep)
    for piece in pieces:
        buffer.feed(piece)
    return buffer.result()


@given(PIECES, st.integers(0, 200))
def test_head_and_tail_are_kept_and_the_rest_is_counted(pieces: list[bytes], keep: int) -> None:
    whole = b"".join(pieces)
    output = fed(pieces, keep)
    assert output.cut == max(0, len(whole) - keep)
    if output.cut:
        assert output.head == whole[: keep - keep // 2]
        assert output.tail == whole[len(whole) - keep // 2 :]
    else:
        assert output.data == whole


@given(PIECES, st.integers(0, 200))
def test_how_it_is_cut_into_pieces_does_not_matter(pieces: list[bytes], keep: int) -> None:
    assert fed(pieces, keep) == fed([b"".join(pieces)], keep)


@given(st.text())
def test_no_character_of_a_whole_text_is_torn(text: str) -> None:
    data = text.encode()
    assert fed([data[:3], data[3:]], len(data)).text == text


def test_many_small_pieces_stay_bounded() -> None:
    buffer = BoundedBuffer(1000)
    for number in range(200_000):
        buffer.feed(b"%d" % (number % 10))
    assert len(buffer._tail) <= 500 + 64 * 1024
    assert buffer.result().cut == 199_000


def test_a_cut_is_said_in_words() -> None:
    assert fed([b"a" * 10], 4).text == "aa\n[... 6 bytes left out ...]\naa"
