import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.evals.trie.forest import pack, tree_mask
from abstain.evals.trie.scoring import plan_scoring
from abstain.trainers.trie.trainer import regrouped

SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=20)


def padded(sequences):
    lengths = np.array([len(sequence) for sequence in sequences])
    table = np.full((len(sequences), lengths.max()), 7)
    for row, sequence in zip(table, sequences, strict=True):
        row[: len(sequence)] = sequence
    return table, lengths


@settings(deadline=None)
@given(SEQUENCES, st.sampled_from([1, 4, 64]))
def test_each_prefix_attends_to_its_own_tokens_alone_and_in_order(sequences, hidden_size):
    table, lengths = padded(sequences)
    forest = pack(table, lengths, hidden_size)
    attends = tree_mask(torch.from_numpy(forest.last))[:, 0].numpy()
    for index, sequence in enumerate(sequences):
        for depth in range(len(sequence)):
            row, column = divmod(int(forest.flat(np.array(index), np.array(depth))), forest.tokens.shape[1])
            ancestors = np.flatnonzero(attends[row, column])
            assert forest.tokens[row][ancestors].tolist() == sequence[: depth + 1]
            assert forest.positions[row][ancestors].tolist() == list(range(depth + 1))


@settings(deadline=None)
@given(SEQUENCES)
def test_wide_rows_hold_every_distinct_prefix_once(sequences):
    table, lengths = padded(sequences)
    forest = pack(table, lengths, hidden_size=10**6)  # long rows cost nothing in comparison
    prefixes = {tuple(sequence[:end]) for sequence in sequences for end in range(1, len(sequence) + 1)}
    nodes = {int(forest.flat(np.array(i), np.array(d))) for i, s in enumerate(sequences) for d in range(len(s))}
    assert forest.tokens.size == len(nodes) == len(prefixes)


@settings(deadline=None)
@given(SEQUENCES, st.sampled_from([1, 64]))
def test_no_more_tokens_than_one_row_per_sequence_would_take(sequences, hidden_size):
    table, lengths = padded(sequences)
    assert pack(table, lengths, hidden_size).tokens.size <= table.size


@settings(deadline=None)
@given(SEQUENCES, st.sampled_from([1, 10**6]), st.data())
def test_sequences_of_different_groups_share_no_row(sequences, hidden_size, data):
    table, lengths = padded(sequences)
    group = np.array([data.draw(st.integers(0, 2)) for _ in sequences])
    forest = pack(table, lengths, hidden_size, group, before=5)
    rows = {which: set(forest.row[forest.sequence[group == which]].tolist()) for which in range(3)}
    assert not (rows[0] & rows[1] or rows[0] & rows[2] or rows[1] & rows[2])
    for index, sequence in enumerate(sequences):
        at = forest.flat(np.full(len(sequence), index), np.arange(len(sequence)))
        assert forest.tokens.flatten()[at].tolist() == sequence


def test_long_sequences_without_a_common_prefix_stay_on_rows_of_their_own():
    sequences = np.arange(4)[:, None] * 1000 + np.arange(1000)
    assert pack(sequences, np.full(4, 1000), hidden_size=8).tokens.shape == (4, 1000)


def test_padding_columns_attend_to_themselves_so_that_no_softmax_is_empty():
    forest = pack(np.array([[1, 2, 3], [4, 0, 0]]), np.array([3, 1]), hidden_size=1)
    assert tree_mask(torch.from_numpy(forest.last)).any(dim=-1).all()


def test_micro_batches_of_one_optimizer_step_are_sorted_by_prefix_and_no_row_leaves_its_step():
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(0, 3, (24, 1), generator=generator).expand(24, 2)
    rows = {"prompt_ids": prompts, "completion_ids": torch.randint(0, 2, (24, 3), generator=generator)}
    rows |= {"advantages": torch.arange(24.0), "num_items_in_batch": torch.tensor(50)}
    batches = [{k: v[i : i + 4] if v.ndim else v for k, v in rows.items()} for i in range(0, 24, 4)]
    after = regrouped(batches, 3)
    for step in (slice(0, 3), slice(3, 6)):
        places = torch.cat([batch["advantages"] for batch in after[step]]).long()
        assert sorted(places.tolist()) == list(range(12 * (step.start // 3), 12 * (step.start // 3) + 12))
        for key in ("prompt_ids", "completion_ids"):
            assert torch.equal(torch.cat([batch[key] for batch in after[step]]), rows[key][places])
        tokens = torch.cat([rows["prompt_ids"], rows["completion_ids"]], dim=1)[places].tolist()
        assert tokens == sorted(tokens)
    assert all(batch["num_items_in_batch"] == 50 and len(batch["advantages"]) == 4 for batch in after)


IDS = np.array([[0, 5, 6, 8, 9], [4, 5, 6, 8, 0], [0, 5, 6, 7, 0]])
MASK = np.array([[0, 1, 1, 1, 1], [1, 1, 1, 1, 0], [0, 1, 1, 1, 0]])


def test_plan_scores_each_distinct_edge_once():
    plan = plan_scoring(IDS, MASK, 2, hidden_size=64)
    # Rows 0 and 2 share the prompt (5, 6), whose next token is 8 or 7; 8 is followed by 9. Row 1 has its own prompt
    assert sorted(plan.edge_token.tolist()) == [7, 8, 8, 9]
    assert len(plan.parent) == 3
    assert plan.edge_of.reshape(3, 2)[MASK[:, 3:] == 0].tolist() == [4, 4]
    tokens = np.append(plan.edge_token, -1)[plan.edge_of].reshape(3, 2)
    assert tokens.tolist() == [[8, 9], [8, -1], [7, -1]]


def test_plan_skips_rows_whose_completion_is_masked_out():
    mask = MASK.copy()
    mask[0, 3:] = 0
    plan = plan_scoring(IDS, mask, 2, hidden_size=64)
    assert np.append(plan.edge_token, -1)[plan.edge_of].reshape(3, 2).tolist() == [[-1, -1], [8, -1], [7, -1]]


def test_plan_declines_what_it_cannot_serve():
    hole = MASK.copy()
    hole[1, 1] = 0
    assert plan_scoring(IDS, hole, 2, hidden_size=64) is None
    nothing = MASK.copy()
    nothing[:, 3:] = 0
    assert plan_scoring(IDS, nothing, 2, hidden_size=64) is None
    no_prompt = np.array([[0, 0, 0, 1, 1]])
    assert plan_scoring(IDS[:1], no_prompt, 2, hidden_size=64) is None
