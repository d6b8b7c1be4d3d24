"""Singer target that sends line items and scores to the gradebook of an LMS, over LTI Advantage."""
