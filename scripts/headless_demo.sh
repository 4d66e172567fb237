#!/bin/sh
# What `make run` does without a terminal: a short training run that shows that the model learns.
# It is begun, gone on with or only reported, depending on what is there.
set -u
mqlora=$1
steps=32
state=checkpoints_qlora/training_state.json
paused=
trap 'paused=yes' INT

ask() {  # a title, then options of chat
    title=$1
    shift
    [ -s data/prompts.txt ] || return 0
    printf '\n%s\n' "$title"
    asked=0
    while [ $asked -lt 3 ] && IFS= read -r question; do
        set -- "$@" --prompt "$question"
        asked=$((asked + 1))
    done <data/prompts.txt
    "$mqlora" chat --max-tokens 40 "$@" || exit 1
}

train() {
    "$mqlora" train "$@"
    code=$?
    if [ -n "$paused" ] || [ $code -ge 128 ]; then
        echo "Paused and saved. The next make run goes on from there." >&2
        exit $((code < 128 ? 130 : code))
    fi
    [ $code -eq 0 ] || exit $code
}

is_finished() {
    grep -q '"status": *"finished"' $state 2>/dev/null
}

if is_finished; then
    echo "The run here is finished; nothing is left to do. This is its report:"
else
    [ -n "$(ls models/*/config.json 2>/dev/null)" ] && [ -s data/train.jsonl ] || {
        echo "Writing the built-in model and the sample data: some ten seconds, and a download of 93 MB …"
        "$mqlora" demo || exit
    }
    if [ -f $state ]; then
        echo "Going on with the run that was begun. Ctrl+C pauses it."
        train
    else
        echo "No terminal here, so this is a short run of $steps steps: about three minutes on 2 quiet cores. Ctrl+C pauses it."
        ask "Three questions before training:" --base
        echo
        train --profile BALANCED --set max_steps=$steps --set learning_rate=1e-3 --set eval_every=0 --set save_every=10
    fi
    ask "The same questions after it:"
    echo
fi
"$mqlora" plot && "$mqlora" report || exit
cat <<END

On all of the data:  $mqlora train --restart --profile BALANCED
In the app:          $mqlora      (needs a terminal; the result can be chatted with on key 5)
END
