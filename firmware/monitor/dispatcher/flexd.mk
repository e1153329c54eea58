#
# SPDX-License-Identifier: BSD-3-Clause
#
# Dispatcher of the FlexKit payload. FLEXKIT_ABI is the folder that holds flexkit/smc.h.

FLEXD_DIR		:=	$(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
FLEXKIT_ABI		?=	${FLEXKIT_DIR}/abi

SPD_INCLUDES		:=	-I${FLEXKIT_ABI}

SPD_SOURCES		:=	${FLEXD_DIR}/flexd_main.c		\
				${FLEXD_DIR}/flexd_pm.c			\
				${FLEXD_DIR}/flexd_helpers.S

# The payload is built beside TF-A and handed in as BL32=.
NEED_BL32		:=	yes

# The dispatcher saves the normal world's SIMD registers itself; what it saves is V0-V31, so wider state must not exist.
ifeq (${CTX_INCLUDE_FPREGS},1)
        $(error flexd saves SIMD state itself: CTX_INCLUDE_FPREGS must be 0)
endif
