#!/bin/sh
# Where there is no terminal: train SAFE on the project's model and data to the end, then report.
# An unfinished run is resumed; a finished one is only reported.
set -e
mqlora=$1
state=checkpoints_qlora/training_state.json
if [ ! -f "$state" ]; then
  "$mqlora" train --profile SAFE
elif ! grep -q '"status": "finished"' "$state"; then
  "$mqlora" train
fi
"$mqlora" plot
"$mqlora" report
