"""Implementation plans: tasks of users and of the program, with an order, owners, times and evidence."""
