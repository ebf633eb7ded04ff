//! One cycle of one space. To come.
