// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA by a device that we command: QEMU's "edu" (docs/specs/edu in QEMU), a
 * PCI function with 4 KiB of memory that copies to and from any address.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/pci.h>
#include "flexattack.h"

#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8
#define EDU_BUFFER 0x40000
#define EDU_SOURCE 0x80
#define EDU_TARGET 0x88
#define EDU_COUNT 0x90
#define EDU_COMMAND 0x98
#define EDU_RUN BIT(0)
#define EDU_TO_MEMORY BIT(1)
#define EDU_DEADLINE_MS 2000

static struct pci_dev *edu;
static void __iomem *edu_registers;

static int attack_edu(void)
{
	int ret;

	if (edu)
		return 0;
	edu = pci_get_device(EDU_VENDOR, EDU_DEVICE, NULL);
	if (!edu)
		return -ENODEV;
	ret = pci_enable_device(edu);
	if (ret)
		goto put;
	pci_set_master(edu);
	edu_registers = pci_iomap(edu, 0, 0);
	if (edu_registers)
		return 0;
	ret = -ENOMEM;
	pci_disable_device(edu);
put:
	pci_dev_put(edu);
	edu = NULL;
	return ret;
}

void attack_dma_exit(void)
{
	if (!edu)
		return;
	pci_iounmap(edu, edu_registers);
	pci_disable_device(edu);
	pci_dev_put(edu);
	edu = NULL;
}

/* in|out PA BYTES: `in` copies from memory into the device, `out` from the device to memory. done: the device said so,
 * which says nothing about what moved. */
int attack_dma(int argc, char **argv, struct seq_buf *out)
{
	unsigned long end = jiffies + msecs_to_jiffies(EDU_DEADLINE_MS);
	bool to_memory;
	u64 pa, bytes;
	int ret;

	if (argc != 3 || attack_number(argv[1], &pa) || attack_number(argv[2], &bytes) || bytes > PAGE_SIZE)
		return -EINVAL;
	ret = attack_edu();
	if (ret)
		return ret;
	to_memory = argv[0][0] == 'o';
	writeq(to_memory ? EDU_BUFFER : pa, edu_registers + EDU_SOURCE);
	writeq(to_memory ? pa : EDU_BUFFER, edu_registers + EDU_TARGET);
	writeq(bytes, edu_registers + EDU_COUNT);
	writeq(EDU_RUN | (to_memory ? EDU_TO_MEMORY : 0), edu_registers + EDU_COMMAND);
	while (readq(edu_registers + EDU_COMMAND) & EDU_RUN) {
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		msleep(5);
	}
	seq_buf_puts(out, "done: 1\n");
	return 0;
}
