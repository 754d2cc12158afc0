//! How many bits the frames of the own voice have: decided by the session, done by the encoder.

/// It follows what receivers report of the path, never what is said: all packets of one rate and one degree of protection have one size, since
/// packet lengths of a variable rate tell what is said (Wright et al., "Spot me if you can", IEEE S&P 2008). How many bits that are depends on
/// how much sound is in a packet, on its copies, and on whether it is music.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rate {
    /// The fewest with which speech is speech.
    Least,
    /// A few more.
    Less,
    /// Enough that few hear the difference.
    Reduced,
    /// All that are of any use.
    #[default]
    Full,
}
