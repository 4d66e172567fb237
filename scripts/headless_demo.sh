#!/bin/sh
# What `make run` does without a terminal: a short training run that shows that the model learns.
# It is begun, gone on with or only reported, depending on what is there. The argument is the environment.
set -u
python=$1/bin/python
steps=32
run=checkpoints_qlora
state=$run/training_state.json

mqlora() {
    "$python" -m tui "$@"
}

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
    mqlora chat --max-tokens 40 "$@" || exit
}

paused=
trap 'paused=yes' INT

train() {
    mqlora train "$@"
    code=$?
    case $code in
        0) paused= ;;
        129 | 130 | 143) paused=yes ;;
    esac
    [ -z "$paused" ] || echo "Paused and saved. The next make run goes on from there." >&2
    [ $code -eq 0 ] || exit $code
    trap - INT
}

value_of() {  # a number in the run's state
    sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" $state | head -1
}

if grep -q '"status": *"finished"' $state 2>/dev/null; then
    echo "The run here is finished; nothing is left to do. This is its report:"
else
    [ -n "$(ls models/*/config.json 2>/dev/null)" ] && [ -s data/train.jsonl ] || {
        echo "Writing the built-in model and the sample data: some ten seconds, and a download of 93 MB …"
        mqlora demo || exit
    }
    if [ -f $state ]; then
        echo "Going on with the run that was begun, at step $(value_of step) of $(value_of total_steps). Ctrl+C pauses it."
        train
    else
        echo "No terminal here, so this is a short run of $steps steps: about three minutes on 2 quiet cores."
        echo "Ctrl+C pauses it. The sample data are facts about countries, asked and answered in Portuguese;"
        echo "so few steps teach the language and form of the answers, and few of the facts."
        ask "Three questions before training:" --base
        printf '\nTraining; the first validation alone takes some 20 seconds …\n'
        train --profile BALANCED --set max_steps=$steps --set learning_rate=1e-3 --set eval_every=0 --set save_every=10
    fi
    ask "The same questions after it:"
    echo
fi
[ $run/training_dashboard.png -nt $state ] || mqlora plot
mqlora report || exit
cat <<END

The facts too, on all of the data (some 20 minutes):  mqlora-tui train --restart --profile BALANCED
In the app, which needs a terminal:                   mqlora-tui
The command mqlora-tui is here:                       $1/bin/mqlora-tui   (or once: . $1/bin/activate)
END
