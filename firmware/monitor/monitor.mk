#
# SPDX-License-Identifier: BSD-3-Clause
#
# Flex-Monitor in BL31. Set on TF-A's command line:
#   FLEXKIT_DIR        this tree's firmware folder
#   FLEXKIT_BACKEND    stage2 or gpt, as the board file says
#   FLEXKIT_BOARD_H    the folder of flex_board.h, generated from the board file
#   FLEX_BUILD_ID_HEX  the monitor's identity, 32 hex digits
#   FLEX_DEBUG         1 for a debug profile, else absent

ifeq ($(FLEXKIT_BOARD_H),)
        $(error FLEXKIT_BOARD_H must name the folder of flex_board.h)
endif
ifeq ($(FLEX_BUILD_ID_HEX),)
        $(error FLEX_BUILD_ID_HEX must be the monitor's identity)
endif
FLEX_MONITOR_DIR	:=	$(FLEXKIT_DIR)/monitor

# 1 when flex_board.h has a line with these words, else 0: what the board has decides what is linked.
flex_board_has		=	$(shell grep -cw -e '$(1)' $(FLEXKIT_BOARD_H)/flex_board.h)

FLEXKIT			:=	1
$(eval $(call add_define,FLEXKIT))

PLAT_INCLUDES		+=	-I$(FLEXKIT_DIR)/abi			\
				-I$(FLEXKIT_BOARD_H)			\
				-I$(FLEX_MONITOR_DIR)/core		\
				-I$(FLEX_MONITOR_DIR)/machine		\
				-I$(FLEX_MONITOR_DIR)/smmu		\
				-I$(FLEX_MONITOR_DIR)/$(FLEXKIT_BACKEND)	\
				-I$(FLEX_MONITOR_DIR)/glue

BL31_SOURCES		+=	services/el3/ven_el3_svc.c		\
				$(FLEX_MONITOR_DIR)/core/core.c		\
				$(FLEX_MONITOR_DIR)/core/batch.c	\
				$(FLEX_MONITOR_DIR)/core/move.c		\
				$(FLEX_MONITOR_DIR)/core/region.c	\
				$(FLEX_MONITOR_DIR)/machine/abort.c	\
				$(FLEX_MONITOR_DIR)/machine/machine.c	\
				$(FLEX_MONITOR_DIR)/smmu/dma.c		\
				$(FLEX_MONITOR_DIR)/smmu/tables.c	\
				$(FLEX_MONITOR_DIR)/glue/flex_smc.c	\
				$(FLEX_MONITOR_DIR)/glue/flex_boot.c

# FLEX_NW_MODE: where the normal world's kernel runs, and calls from.
ifeq ($(FLEXKIT_BACKEND),stage2)
ifneq ($(INIT_UNUSED_NS_EL2),1)
        $(error the stage2 backend needs INIT_UNUSED_NS_EL2=1: every core's EL2 is the monitor's)
endif
$(eval $(call add_define_val,FLEX_NW_MODE,MODE_EL1))
BL31_SOURCES		+=	$(FLEX_MONITOR_DIR)/stage2/el2.c	\
				$(FLEX_MONITOR_DIR)/stage2/fault.c	\
				$(FLEX_MONITOR_DIR)/stage2/protect.c
else ifeq ($(FLEXKIT_BACKEND),gpt)
ifneq ($(ENABLE_RME)$(ENABLE_RMM)$(RME_GPT_MAX_BLOCK),100)
        $(error the gpt backend needs ENABLE_RME=1, ENABLE_RMM=0 and RME_GPT_MAX_BLOCK=0: GPIs of single pages)
endif
$(eval $(call add_define_val,FLEX_NW_MODE,MODE_EL2))
BL31_SOURCES		+=	$(FLEX_MONITOR_DIR)/gpt/fault.c		\
				$(FLEX_MONITOR_DIR)/gpt/gpt.c
else
        $(error FLEXKIT_BACKEND must be stage2 or gpt)
endif

ifeq ($(call flex_board_has,FLEX_BOARD_GICR_BASE),1)
BL31_SOURCES		+=	$(FLEX_MONITOR_DIR)/machine/redistributors.c
else
BL31_SOURCES		+=	$(FLEX_MONITOR_DIR)/machine/no_redistributors.c
endif
ifeq ($(call flex_board_has,FLEX_BOARD_SMMU_BASE),1)
BL31_SOURCES		+=	$(FLEX_MONITOR_DIR)/smmu/smmuv3.c
else
BL31_SOURCES		+=	$(FLEX_MONITOR_DIR)/smmu/no_smmu.c
endif

BL2_SOURCES		+=	$(FLEX_MONITOR_DIR)/glue/flex_fdt.c

# BL31 links no library that could hold the out-of-line ones. Atomics are asserted at boot, and stays in EL3 are counted.
# Cores without them get loops of exclusive loads and stores.
TF_CFLAGS		+=	-mno-outline-atomics
ifeq ($(call flex_board_has,FLEX_BOARD_HAS_ATOMICS 1),1)
BL31_CFLAGS		+=	-O2 -march=armv8-a+lse
else
BL31_CFLAGS		+=	-O2 -march=armv8-a
endif

FLEX_BUILD_ID_FIRST	:=	$(shell printf %.16s $(FLEX_BUILD_ID_HEX))
BL31_CPPFLAGS		+=	-DFLEX_BUILD_ID_HEX='"$(FLEX_BUILD_ID_HEX)"' \
				-DFLEX_BUILD_ID_HIGH=0x$(FLEX_BUILD_ID_FIRST)ULL \
				-DFLEX_BUILD_ID_LOW=0x$(patsubst $(FLEX_BUILD_ID_FIRST)%,%,$(FLEX_BUILD_ID_HEX))ULL \
				-DFLEX_BUILD_DEBUG=$(if $(filter 1,$(FLEX_DEBUG)),1,0)U
