//! Lines that end with CR LF, out of pieces that end anywhere.

use bytes::Bytes;

/// The line is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// The beginning of a line whose end has not arrived.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    partial: Vec<u8>,
}

/// A whole line without its end.
#[derive(Debug)]
pub(super) enum Line {
    /// It lay in one piece.
    Whole(Bytes),
    /// It was put together.
    Joined(Vec<u8>),
}

impl Line {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Whole(line) => line,
            Self::Joined(line) => line,
        }
    }
}

impl LineBuffer {
    /// Takes a line off `input`. `None` when its end has not arrived; what there is of it is kept then.
    pub(super) fn take(&mut self, input: &mut Bytes, length_max: usize) -> Result<Option<Line>, TooLong> {
        // The line end may lie across two pieces.
        if self.partial.last() == Some(&b'\r') && input.first() == Some(&b'\n') {
            let _ = input.split_to(1);
            self.partial.pop();
            return Ok(Some(Line::Joined(std::mem::take(&mut self.partial))));
        }
        let room = (length_max + 2).saturating_sub(self.partial.len());
        let window = &input[..input.len().min(room)];
        let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
            if window.len() == room {
                return Err(TooLong);
            }
            self.partial.extend_from_slice(input);
            input.clear();
            return Ok(None);
        };
        let line = input.split_to(end);
        let _ = input.split_to(2);
        if self.partial.is_empty() {
            return Ok(Some(Line::Whole(line)));
        }
        self.partial.extend_from_slice(&line);
        Ok(Some(Line::Joined(std::mem::take(&mut self.partial))))
    }
}
