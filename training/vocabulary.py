"""The reader's vocabulary: characters, and spaces and newlines that say where the next word stands.

A line break is one token per row of patches and a space one token per column of patches. Decoded, each is a plain
newline or space; while generating, the model sees in its own output which place it reads next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from training.pages import Word
from training.words import CHARACTERS

PAD, BOS, EOS, UNKNOWN = range(4)
_SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The token ids for a page of `rows` × `columns` patches."""

    rows: int
    columns: int

    @property
    def tokens(self) -> list[str]:
        """All tokens; the index is the id."""
        rows = [f"<row{row}>" for row in range(self.rows)]
        columns = [f"<column{column}>" for column in range(self.columns)]
        return [*_SPECIAL, *CHARACTERS, *rows, *columns]

    def row_id(self, row: int) -> int:
        """Return the id of the line break before a line in the 0-based row of patches."""
        return len(_SPECIAL) + len(CHARACTERS) + min(max(row, 0), self.rows - 1)

    def column_id(self, column: int) -> int:
        """Return the id of the space before a word in the 0-based column of patches."""
        return len(_SPECIAL) + len(CHARACTERS) + self.rows + min(max(column, 0), self.columns - 1)

    def encode(
        self, lines: Sequence[Sequence[Word]], patch: tuple[int, int], first_row: int = 0
    ) -> tuple[list[int], list[int]]:
        """Return a page's token ids and, for each, the patch (row-major, within the page) to be read for it.

        `patch` is height × width in pixels; `first_row` shifts the row tokens when the page is a cutting.
        """
        ids: list[int] = []
        places: list[int] = []
        for line in lines:
            row, _ = self._patch_of(line[0], 0, patch)
            ids.append(self.row_id(row + first_row))
            places.append(self._place(line[0], 0, patch))
            for word in line:
                ids.append(self.column_id(self._patch_of(word, 0, patch)[1]))
                places.append(self._place(word, 0, patch))
                for position, char in enumerate(word.text):
                    ids.append(len(_SPECIAL) + CHARACTERS.index(char))
                    places.append(self._place(word, position, patch))
        return [*ids, EOS], [*places, IGNORED]

    def _patch_of(self, word: Word, position: int, patch: tuple[int, int]) -> tuple[int, int]:
        x, y = word.centre(position)
        return int(y // patch[0]), min(int(x // patch[1]), self.columns - 1)

    def _place(self, word: Word, position: int, patch: tuple[int, int]) -> int:
        row, column = self._patch_of(word, position, patch)
        return row * self.columns + column


def character_grid(
    lines: Sequence[Sequence[Word]], height: int, width: int, patch: tuple[int, int]
) -> NDArray[np.int64]:
    """Return which character stands at the middle of each half patch, `[rows, 2 * columns]`; 0 is none, 1 the first."""
    half = patch[1] / 2
    grid = np.zeros((height // patch[0], round(width / half)), np.int64)
    middles = (np.arange(grid.shape[1]) + 0.5) * half
    for word in (word for line in lines for word in line):
        inside = np.searchsorted(word.edges, middles, side="right") - 1
        for column in np.flatnonzero((inside >= 0) & (inside < len(word.text))):
            row = int((word.middle + word.slope * middles[column]) // patch[0])
            if 0 <= row < len(grid):
                grid[row, column] = 1 + CHARACTERS.index(word.text[inside[column]])
    return grid


def build_tokenizer(vocabulary: Vocabulary) -> PreTrainedTokenizerFast:
    """Return the tokenizer saved beside the checkpoint; it turns row and column tokens into newlines and spaces."""
    tokens = {token: index for index, token in enumerate(vocabulary.tokens)}
    tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(" ", "<column0>"), normalizers.Replace("\n", "<row0><column0>")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"<(row|column)\d+>|."), "isolated")
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Fuse(),
            decoders.Replace(Regex(r"<row\d+>(<column\d+>)?"), "\n"),
            decoders.Replace(Regex(r"<column\d+>"), " "),
            decoders.Strip(" ", 1, 1),
            decoders.Strip("\n", 1, 1),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
