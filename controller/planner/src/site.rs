//! Where a part of a document stands. Written out only when something is wrong there, which is seldom.

use std::fmt;

use horizon_api::problem::printable;

/// A part, and what it is a part of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Site<'a> {
    Root(&'a str),
    Field(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl Site<'_> {
    /// Returns the name of the field; an item of a list has none.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Root(name) | Self::Field(_, name) => name,
            Self::Item(..) => "",
        }
    }
}

impl fmt::Display for Site<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Field(of, name) => write!(f, "{of}.{}", printable(name)),
            Self::Item(of, index) => write!(f, "{of}[{index}]"),
        }
    }
}
