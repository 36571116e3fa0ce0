#!/bin/bash
# Predict recordings as an array job: every task takes one part of them. Then join the parts:
#
#   job=$(sbatch --parsable --array=1-16 examples/slurm/predict.sh runs/birds /shared/recordings /shared/results)
#   sbatch --dependency=afterany:"$job" examples/slurm/gather.sh /shared/results
#
# The array begins at 1. What was stopped or failed goes on when it is submitted again, with the number of all parts:
#
#   PARTS=16 sbatch --array=3,7 examples/slurm/predict.sh runs/birds /shared/recordings /shared/results
#SBATCH --job-name=predict
#SBATCH --array=1-4
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --output=predict-%A-%a.log
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: sbatch --array=1-N predict.sh RUN RECORDINGS OUT [OPTION...]" >&2
    exit 2
fi
run=$1 recordings=$2 out=$3

# the number of all parts: the last of the array, unless only some of its tasks are submitted again
parts=${PARTS:-$SLURM_ARRAY_TASK_MAX}
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
srun audiostride predict "$run" "$recordings" --out "$out" --shard "$SLURM_ARRAY_TASK_ID/$parts" "${@:4}"
