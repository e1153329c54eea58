/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM flexserve

#if !defined(FLEXSERVE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define FLEXSERVE_TRACE_H

#include <linux/tracepoint.h>

/* One batch of monitor calls, as a caller sees it. Ticks are CNTVCT's. */
TRACE_EVENT(flexserve_batch,
	TP_PROTO(u64 function, u32 count, u32 done, s64 error, u64 ticks),
	TP_ARGS(function, count, done, error, ticks),
	TP_STRUCT__entry(
		__field(u64, function)
		__field(u32, count)
		__field(u32, done)
		__field(s64, error)
		__field(u64, ticks)
	),
	TP_fast_assign(
		__entry->function = function;
		__entry->count = count;
		__entry->done = done;
		__entry->error = error;
		__entry->ticks = ticks;
	),
	TP_printk("function=%#llx count=%u done=%u error=%lld ticks=%llu",
		  __entry->function, __entry->count, __entry->done,
		  __entry->error, __entry->ticks)
);

#endif /* FLEXSERVE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../drivers/flexserve
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
