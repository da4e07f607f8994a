//! Chooses disks for the placement groups of a storage class.
