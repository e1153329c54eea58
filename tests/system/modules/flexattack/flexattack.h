/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * flexattack plays the compromised kernel: it reads, writes and DMAs where it
 * must not, and calls the firmware with whatever it likes. One command is
 * written to /sys/kernel/debug/flexattack/cmd; what came of it is read from
 * .../result, one "name: value" a line. Commands run one at a time.
 */
#ifndef FLEXATTACK_H
#define FLEXATTACK_H

#include <linux/seq_buf.h>
#include <linux/types.h>
#include <flexkit/mailbox.h>

/* The driver never leases the last mailbox: it is ours. */
struct attack_firmware {
	u64 shared;
	u32 mailboxes;
	struct flex_mailbox *mailbox; /* the last one */
};

extern struct attack_firmware firmware;

/**
 * typedef attack_fn - one command
 * @argc: words after the command's name
 * @argv: those words
 * @out: where its result goes
 *
 * Return: 0, or a negative errno when the command could not be tried at all.
 */
typedef int (*attack_fn)(int argc, char **argv, struct seq_buf *out);

int attack_number(const char *word, u64 *value);
/* One to @most of them. */
int attack_numbers(int argc, char **argv, u64 *value, int most);

int attack_access(int argc, char **argv, struct seq_buf *out);
int attack_plain(int argc, char **argv, struct seq_buf *out);
int attack_alloc(int argc, char **argv, struct seq_buf *out);
int attack_free(int argc, char **argv, struct seq_buf *out);
int attack_fill(int argc, char **argv, struct seq_buf *out);
int attack_look(int argc, char **argv, struct seq_buf *out);
int attack_contig(int argc, char **argv, struct seq_buf *out);
void attack_memory_exit(void);
u32 attack_pages(const u64 **pages);

int attack_smc(int argc, char **argv, struct seq_buf *out);
int attack_batch(int argc, char **argv, struct seq_buf *out);
int attack_list(int argc, char **argv, struct seq_buf *out);

int attack_smcon(int argc, char **argv, struct seq_buf *out);
int attack_race(int argc, char **argv, struct seq_buf *out);
int attack_block(int argc, char **argv, struct seq_buf *out);
int attack_churn(int argc, char **argv, struct seq_buf *out);

int attack_disk(int argc, char **argv, struct seq_buf *out);
int attack_scribble(int argc, char **argv, struct seq_buf *out);
void attack_scribble_exit(void);

struct dentry;
int attack_search(int argc, char **argv, struct seq_buf *out);
int attack_search_init(struct dentry *folder);
void attack_search_exit(void);

int attack_dma(int argc, char **argv, struct seq_buf *out);
void attack_dma_exit(void);

/* simd.S: the whole vector state, 32 x 16 bytes, FPCR and FPSR apart. */
void attack_simd_load(const u64 *state);
void attack_simd_store(u64 *state);

#endif /* FLEXATTACK_H */
