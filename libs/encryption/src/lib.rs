//! Encrypts object bytes in frames that prove their place, and wraps the keys they are encrypted by. No I/O and no clock;
//! random bytes come from the caller.
//!
//! Every object, and every upload, has a *data key* of its own, which is kept wrapped by another key ([`WrappingKey`]): a
//! master key out of a [`Keyring`], or one that a client brings. Bytes are sealed by AES-256-GCM in frames of
//! [`types::FRAME_SIZE`] bytes. A frame's nonce is its number and whether it is the last, and the key of a part's frames is
//! derived from the part's number too, so a frame that was moved, left out, cut off or put in is refused, and so is a part in the
//! place of another. What was sealed by the same data key for the same part number, when a part was sent twice, can stand in for
//! it; and which parts an object has is for its caller to know.
//!
//! Invariant: no key seals two frames by one nonce. A data key is used for one object that is written whole, or for the parts
//! of one upload, each under a key derived from it and 32 random bytes of the part's own. A key that wraps is used
//! through a key derived from it and 32 random bytes of the wrapping's own.
//! Invariant: no byte leaves [`Opener`] whose frame was not proved.
//! Invariant: nothing here that holds a key can be printed, and it is wiped when it is dropped.

mod frame;
mod key;
mod keyring;
mod open;
mod seal;

pub use key::{DataKey, WrappingKey, WrongKey, unwrapped, wrapped};
pub use keyring::{ALIAS_MAX, Keyring, KeyringError, MASTER_KEY_ID_MAX, NamedKey, is_alias, line_of_key};
pub use open::{Layout, Opener, Unproved};
pub use seal::Sealer;

#[cfg(test)]
mod tests;
