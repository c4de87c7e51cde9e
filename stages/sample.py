"""Let a trained language model write: `python -m stages.sample ptb --prompt "the company" --tokens 40`."""

import math
import sys

from stages.support.process import InputError, one_line, run_stage
from stages.trained.command_line import as_text, chosen_model, make_parser


def main(*words: str) -> None:
    """Print the prompt and the words or characters drawn after it; <eos> is a line break."""
    parser = make_parser("language_model", "Go on with a text, word by word, as the trained language model has it.")
    parser.add_argument("--model", choices=["better", "basic"], default="", help="default: better, where it is trained")
    parser.add_argument("--prompt", default="", help="how the text begins; default: as a sentence begins")
    parser.add_argument("--tokens", type=int, default=40, help="how many words or characters to draw; default: 40")
    parser.add_argument("--temperature", type=float, default=1.0, help="0 takes the likeliest word; default: 1")
    parser.add_argument("--seed", type=int, default=0, help="another one draws other words; default: 0")
    parser.add_argument("--no-unknown", action="store_true", help="never draw <unk>")
    arguments = parser.parse_args(words)
    if arguments.tokens < 1:
        raise InputError(f"--tokens {arguments.tokens}: allowed is 1 or more")
    if not (math.isfinite(arguments.temperature) and arguments.temperature >= 0):
        raise InputError(f"--temperature {arguments.temperature}: allowed is 0 or more")
    if not 0 <= arguments.seed < 2**63:
        raise InputError(f"--seed {arguments.seed}: allowed is a whole number from 0 to 2^63 - 1")
    trained = chosen_model(arguments, arguments.model)

    import torch

    from stages.trained.language import WordModel
    from stages.training.device import prepare

    prepare("cpu")
    assert trained.vocabulary
    model = WordModel(trained.settings["hyperparameters"], trained.weights, trained.vocabulary, trained.ready)
    prompt, unknown = model.encode(as_text(arguments.prompt, "--prompt"))
    print(trained, file=sys.stderr)
    if unknown:
        print(f"unknown, read as <unk>: {one_line(', '.join(unknown), 200)}", file=sys.stderr)
    generator = torch.Generator().manual_seed(arguments.seed)
    drawn = model.sample(prompt, arguments.tokens, arguments.temperature, generator, arguments.no_unknown)
    print(model.text([*prompt[1:], *drawn]))


if __name__ == "__main__":
    run_stage(main, has_help=True)
