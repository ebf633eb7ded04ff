//! `aws`: machines are instances of EC2, in one region of one account.
