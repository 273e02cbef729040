//! A BullMQ queue as the rest of the program sees it: names, jobs, counts, connection.
//!
//! In: a Redis address and a queue's name. Out: jobs and counts. It knows nothing of Customer.io.
