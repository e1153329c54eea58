/* SPDX-License-Identifier: GPL-2.0-only */
/* The host library reads it too. */
#include_next <linux/errno.h>
