//! The fields of a protobuf message, in order and in place in their block. Copies nothing.

use super::varint;

/// A range of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The complete block. None if it exceeds the limit of blocks.
    pub(super) fn whole(block: &[u8]) -> Option<Self> {
        Some(Self {
            start: 0,
            end: u32::try_from(block.len()).ok()?,
        })
    }

    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    pub(super) fn len(self) -> usize {
        self.end() - self.start()
    }

    /// The bytes of this range in its block.
    pub(super) fn of(self, block: &[u8]) -> &[u8] {
        &block[self.start()..self.end()]
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Varint(u64),
    Bytes(Span),
    /// Four or eight bytes, unused by the fields here.
    Fixed,
}

impl Value {
    pub(super) fn bytes(self) -> Result<Span, &'static str> {
        match self {
            Self::Bytes(span) => Ok(span),
            Self::Varint(_) | Self::Fixed => Err("a field of bytes has another type"),
        }
    }

    pub(super) fn number(self) -> Result<u64, &'static str> {
        match self {
            Self::Varint(number) => Ok(number),
            Self::Bytes(_) | Self::Fixed => Err("a field of a number has another type"),
        }
    }
}

/// Sets a value that may be set once.
pub(super) fn set_once<T>(place: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if place.is_some() {
        return Err("a field comes twice");
    }
    *place = Some(value);
    Ok(())
}

/// The fields of one message.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    block: &'a [u8],
    rest: Span,
}

impl<'a> Fields<'a> {
    pub(super) fn new(block: &'a [u8], message: Span) -> Self {
        Self {
            block,
            rest: message,
        }
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        match varint::read(self.rest.of(self.block)) {
            Ok(Some((number, bytes))) => {
                self.take(bytes as u64)?;
                Ok(number)
            }
            Ok(None) => Err("it ends within a number"),
            Err(varint::Overlong) => Err("a number has more than 64 bits"),
        }
    }

    fn take(&mut self, bytes: u64) -> Result<Span, &'static str> {
        let taken = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| self.rest.start.checked_add(bytes));
        let end = taken
            .filter(|end| *end <= self.rest.end)
            .ok_or("it ends within a field")?;
        let span = Span {
            start: self.rest.start,
            end,
        };
        self.rest.start = end;
        Ok(span)
    }

    fn field(&mut self) -> Result<(u64, Value), &'static str> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let bytes = self.varint()?;
                Value::Bytes(self.take(bytes)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err("a field has an unknown type"),
        };
        Ok((tag >> 3, value))
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<(u64, Value), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.rest.len() > 0).then(|| self.field())
    }
}
