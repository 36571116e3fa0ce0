#!/bin/bash
# Join the parts that predict.sh left in a folder; parts that are missing or not finished are named, and nothing is written.
#
#   sbatch --dependency=afterany:JOB examples/slurm/gather.sh /shared/results
#SBATCH --job-name=gather
#SBATCH --time=00:30:00
#SBATCH --output=gather-%j.log
set -euo pipefail

srun audiostride predict --gather "$1" "${@:2}"
