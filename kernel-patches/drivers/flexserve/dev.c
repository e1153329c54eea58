// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/flexserve: a client for each open file, who reads the events of its request.
 */
#include <linux/compat.h>
#include <linux/errno.h>
#include <linux/miscdevice.h>
#include <linux/poll.h>
#include <linux/uaccess.h>
#include "request.h"

static int flex_dev_open(struct inode *inode, struct file *file)
{
	file->private_data = flex_client_new();
	return file->private_data ? stream_open(inode, file) : -ENOMEM;
}

static int flex_dev_release(struct inode *inode, struct file *file)
{
	struct flex_client *client = file->private_data;
	size_t i;

	if (client->request) {
		flex_request_cancel(client->request);
		flex_request_put(client->request);
	}
	for (i = 0; i < ARRAY_SIZE(client->model); i++)
		if (client->model[i])
			flex_model_put(client->model[i]);
	flex_client_put(client);
	return 0;
}

/* Nothing will come any more. */
static bool flex_dev_quiet(struct flex_client *client)
{
	struct flex_request *request = READ_ONCE(client->request);

	/* With flex_request_post_last(): its event is there before the end. */
	return !request || smp_load_acquire(&request->ended);
}

static ssize_t flex_dev_read(struct file *file, char __user *to, size_t bytes, loff_t *at)
{
	struct flex_client *client = file->private_data;
	struct flex_event event;
	size_t done = 0;
	int ret;

	if (bytes < sizeof(event))
		return -EINVAL;
	while (done + sizeof(event) <= bytes) {
		if (kfifo_out_spinlocked(&client->events, &event, 1, &client->events_lock)) {
			wake_up_all(&client->wait);
			if (copy_to_user(to + done, &event, sizeof(event)))
				return -EFAULT;
			done += sizeof(event);
			continue;
		}
		if (done || (flex_dev_quiet(client) && kfifo_is_empty(&client->events)))
			break;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		ret = wait_event_interruptible(client->wait, !kfifo_is_empty(&client->events) ||
							     flex_dev_quiet(client));
		if (ret)
			return ret;
	}
	return done;
}

static __poll_t flex_dev_poll(struct file *file, poll_table *table)
{
	struct flex_client *client = file->private_data;

	poll_wait(file, &client->wait, table);
	if (!kfifo_is_empty(&client->events) || flex_dev_quiet(client))
		return EPOLLIN | EPOLLRDNORM;
	return 0;
}

static long flex_dev_ioctl(struct file *file, unsigned int number, unsigned long user)
{
	return flex_command(file->private_data, number, (void __user *)user);
}

static const struct file_operations flex_dev_operations = {
	.owner = THIS_MODULE,
	.open = flex_dev_open,
	.release = flex_dev_release,
	.read = flex_dev_read,
	.poll = flex_dev_poll,
	.unlocked_ioctl = flex_dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice flex_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "flexserve",
	.fops = &flex_dev_operations,
	.groups = flex_attribute_groups,
	.mode = 0600,
};

/** flex_dev_init() - /dev/flexserve appears. Return: 0 or a negative errno. */
int flex_dev_init(void)
{
	return misc_register(&flex_dev);
}
