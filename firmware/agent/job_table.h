/* SPDX-License-Identifier: BSD-3-Clause */
/* What starting a job (job_start.c) and running it (job.c) share: the table of those that there are. */
#ifndef FLEXAGENT_JOB_TABLE_H
#define FLEXAGENT_JOB_TABLE_H

#include "job.h"

/* The job of this request, NULL when there is none. */
struct flex_job *flex_job_find(struct flex_jobs *jobs, uint32_t request);

/* A free place for this request, NULL when all are taken. It is taken only when its child is set. */
struct flex_job *flex_job_claim(struct flex_jobs *jobs, uint32_t request);

/* Closes and frees what the job has; its place is free. */
void flex_job_release(struct flex_job *job);

/* Closes a descriptor unless it is -1, which it is afterwards. */
void flex_job_close(int *descriptor);

#endif /* FLEXAGENT_JOB_TABLE_H */
