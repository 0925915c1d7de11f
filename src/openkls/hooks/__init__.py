"""Customers' servers, asked (authority) and told (callbacks). Rule: what they are, do or say harms nobody else."""
