"""Every stream of random numbers is its own."""

import itertools

from stages.training.seeds import Purpose, order_generator, stream_seed


def test_no_two_streams_share_a_seed():
    streams = list(itertools.product(range(3), range(4), Purpose, range(5)))
    assert len({stream_seed(*stream) for stream in streams}) == len(streams)


def test_a_seed_of_a_stream_never_changes():
    assert stream_seed(1, 0, Purpose.WEIGHTS) == 3717377837946358015
    assert list(order_generator(1, 2, 3).permutation(6)) == [2, 0, 5, 1, 3, 4]
