#!/bin/bash
# Train one recipe on several nodes, one process per GPU.
#
#   RECIPE=recipes/multitask/diffstride.yaml RUN=runs/multitask sbatch examples/slurm/train.sh
#
# SLURM sends SIGTERM two minutes before the time limit: the run saves itself. Submit the same command again, and it goes
# on from there. A process that dies is started again, three times at most.
#SBATCH --job-name=audiostride
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
set -eu

: "${RECIPE:?name a recipe, as in RECIPE=recipes/demo.yaml}"
: "${RUN:?name the folder of the run, as in RUN=runs/demo}"
PROCESSES_PER_NODE=${PROCESSES_PER_NODE:-${SLURM_GPUS_ON_NODE:-1}}
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
GO_ON=
if [ -e "$RUN/recipe.yaml" ]; then GO_ON=--resume; fi

srun torchrun \
    --nnodes="$SLURM_JOB_NUM_NODES" \
    --nproc-per-node="$PROCESSES_PER_NODE" \
    --rdzv-id="$SLURM_JOB_ID" \
    --rdzv-backend=c10d \
    --rdzv-endpoint="$HEAD:${PORT:-29400}" \
    --max-restarts=3 \
    -m audiostride train "$RECIPE" --run-dir "$RUN" $GO_ON "$@"
