"""A tokenizer whose tokens depend on what stands beside them."""

import json
from pathlib import Path
from typing import Any

from engine.model_folder.tokenizer import load_tokenizer
from tests.support.tiny import write_tokenizer

from tokenizers import Tokenizer, processors


def melting_tokenizer(folder: Path, trim_offsets: bool) -> Any:
    """ChatML over bytes in which two line breaks are one token.

    Args:
        folder: where to write it.
        trim_offsets: leave white space out of a token's place in the text, as GPT-NeoX's tokenizers do.
    """
    write_tokenizer(folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["pre_tokenizer"]["use_regex"] = False
    content["model"]["vocab"]["ĊĊ"] = 300
    content["model"]["merges"] = [["Ċ", "Ċ"]]
    path.write_text(json.dumps(content))
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    tokenizer.save(str(path))
    return load_tokenizer(folder)
