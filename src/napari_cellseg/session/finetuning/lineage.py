"""Which model was taught from which: a tree made of their cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.store import ModelEntry

_HASH = 12  # digits of a parent's hash in a card


@dataclass
class Node:
    """A model in the tree.

    Attributes
    ----------
    title
        Its name.
    key
        Its folder; "" for a parent that is not installed.
    told
        More about it, in words.
    scores, where
        On the data it was judged by, and which these are.
    children
        Models that were taught from it.
    """

    title: str
    key: str = ""
    told: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    where: str = ""
    children: list[Node] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Number of models from here on."""
        return 1 + sum(child.size for child in self.children)


def family(entries: Sequence[ModelEntry]) -> list[Node]:
    """Return the models as trees, each under the newest of its parents.

    A parent is known by the hash of its weights. One that is not installed is shown by its name,
    but for a first one with a single child, which says nothing about the others.
    """
    nodes: dict[str, Node] = {}
    for entry in entries:
        nodes.setdefault(entry.card.weights_sha256[:_HASH] or str(entry.folder), _node(entry))
    roots: list[Node] = []
    placed: set[str] = set()
    for entry in entries:
        key = entry.card.weights_sha256[:_HASH] or str(entry.folder)
        if key in placed:  # the same weights under another name
            roots.append(_node(entry))
            continue
        placed.add(key)
        siblings = _siblings(entry.card, nodes, roots)
        siblings.append(nodes[key])
    return [_without_lost(root) for root in roots]


def _without_lost(root: Node) -> Node:
    while not root.key and len(root.children) == 1:
        root = root.children[0]
    return root


def _siblings(card: Card, nodes: dict[str, Node], roots: list[Node]) -> list[Node]:
    """Return the list that a model belongs to; parents that are not installed are made for it."""
    into = roots
    for parent in (one for one in card.lineage if not one.startswith("teacher ")):
        name, _, sha = parent.rpartition(" ")
        if len(sha) != _HASH or sha == card.weights_sha256[:_HASH]:
            continue
        node = nodes.get(sha)
        if node is None:
            node = nodes[sha] = Node(name or sha, told=f"'{name}' is not installed.")
            into.append(node)
        into = node.children
    return into


def _node(entry: ModelEntry) -> Node:
    card = entry.card
    where, scores = _scores(card)
    made = f", made {card.created[:10]}" if card.created else ""
    return Node(
        card.title if entry.group == "included" and card.title else card.name,
        str(entry.folder),
        f"{card.name}{made}. {card.description}".strip(),
        scores,
        where,
    )


def _scores(card: Card) -> tuple[str, Mapping[str, float]]:
    """Return the scores that say most: those over all data, else the first."""
    if not card.scores:
        return "", {}
    name = next((name for name in card.scores if name.endswith("all")), next(iter(card.scores)))
    return name.removeprefix("val: "), card.scores[name]
