/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Put before the core's sources (gcc -include): each atomic access to a word that cores share is a step of explore.c,
 * between which it lets the other cores go on.
 */
#ifndef EXPLORE_ATOMICS_H
#define EXPLORE_ATOMICS_H

/* Lets the others go on, when `word` is one that they see. */
void explore_step(const volatile void *word);

#define __atomic_load_n(at, order) \
	({ \
		__typeof__(at) at_ = (at); \
		explore_step(at_); \
		*at_; \
	})
#define __atomic_store_n(at, value, order) \
	({ \
		__typeof__(at) at_ = (at); \
		__typeof__(*at_ + 0) value_ = (value); \
		explore_step(at_); \
		*at_ = value_; \
	})
#define __atomic_compare_exchange_n(at, old, value, weak, yes, no) \
	({ \
		__typeof__(at) at_ = (at); \
		__typeof__(*at_ + 0) value_ = (value); \
		_Bool same_; \
		explore_step(at_); \
		same_ = *at_ == *(old); \
		if (same_) \
			*at_ = value_; \
		else \
			*(old) = *at_; \
		same_; \
	})
#define __atomic_add_fetch(at, by, order) \
	({ \
		__typeof__(at) at_ = (at); \
		explore_step(at_); \
		*at_ += (by); \
	})
#define __atomic_sub_fetch(at, by, order) __atomic_add_fetch(at, -(by), order)

#endif
