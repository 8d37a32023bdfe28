//! The two ends of the channel of parts, and its few reusable buffers.

use std::{
    io::{self, Write},
    mem,
};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Limit of part buffers: one being filled, the others sent or waiting.
pub(super) const BUFFERS: usize = 3;

/// Initial size of a buffer, for small dumps.
const FIRST_BYTES: usize = 64 * 1024;

/// The source's message: a part with more to come, or the end. A closed channel is neither.
pub(super) enum Message {
    More(Bytes),
    End(Bytes),
}

/// The blocking end. It collects parts of exactly the agreed size, and waits while all buffers are
/// in use. Do not use it inside an async task. A drop without [`PartSink::finish`] counts as a dead
/// source.
pub struct PartSink {
    part_bytes: usize,
    filling: Vec<u8>,
    written_bytes: u64,
    buffers_made: usize,
    parts: mpsc::Sender<Message>,
    returned: mpsc::UnboundedReceiver<Vec<u8>>,
    pool: mpsc::WeakUnboundedSender<Vec<u8>>,
}

/// The async end, for [`super::send_all`]. It holds the return channel for buffers, so the sink
/// notices its drop at every wait.
pub struct PartSource {
    parts: mpsc::Receiver<Message>,
    _pool: mpsc::UnboundedSender<Vec<u8>>,
}

/// Joins a blocking source to an upload, in parts of `part_bytes`.
#[must_use]
pub fn channel(part_bytes: usize) -> (PartSink, PartSource) {
    let (parts, received) = mpsc::channel(BUFFERS);
    let (pool, returned) = mpsc::unbounded_channel();
    let sink = PartSink {
        part_bytes: part_bytes.max(1),
        filling: Vec::new(),
        written_bytes: 0,
        buffers_made: 1,
        parts,
        returned,
        pool: pool.downgrade(),
    };
    (
        sink,
        PartSource {
            parts: received,
            _pool: pool,
        },
    )
}

impl PartSink {
    /// Passes on the rest and the end. Returns the number of written bytes.
    ///
    /// # Errors
    /// `BrokenPipe` if the upload was aborted.
    pub fn finish(mut self) -> io::Result<u64> {
        let last = self.take_filled()?;
        self.send(Message::End(last))?;
        Ok(self.written_bytes)
    }

    /// A full part waits for more bytes, so that the last part is marked as the last.
    fn send_filled(&mut self) -> io::Result<()> {
        let part = self.take_filled()?;
        self.send(Message::More(part))?;
        self.filling = self.next_buffer()?;
        Ok(())
    }

    fn take_filled(&mut self) -> io::Result<Bytes> {
        let pool = self.pool.upgrade().ok_or_else(given_up)?;
        Ok(Bytes::from_owner(PooledBuffer {
            buffer: mem::take(&mut self.filling),
            pool,
        }))
    }

    fn next_buffer(&mut self) -> io::Result<Vec<u8>> {
        if let Ok(buffer) = self.returned.try_recv() {
            return Ok(buffer);
        }
        if self.buffers_made < BUFFERS {
            self.buffers_made += 1;
            return Ok(Vec::new());
        }
        self.returned.blocking_recv().ok_or_else(given_up)
    }

    fn send(&self, message: Message) -> io::Result<()> {
        self.parts.blocking_send(message).map_err(|_| given_up())
    }

    /// Doubles the buffer, up to the size of a part.
    fn make_room(&mut self, wanted: usize) {
        let (length, capacity) = (self.filling.len(), self.filling.capacity());
        if length + wanted > capacity {
            let target = (2 * capacity)
                .max(length + wanted)
                .max(FIRST_BYTES)
                .min(self.part_bytes);
            self.filling.reserve_exact(target - length);
        }
    }
}

impl Write for PartSink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.filling.len() == self.part_bytes && !data.is_empty() {
            self.send_filled()?;
        }
        let count = data.len().min(self.part_bytes - self.filling.len());
        self.make_room(count);
        self.filling.extend_from_slice(&data[..count]);
        self.written_bytes += count as u64;
        Ok(count)
    }

    /// Nothing leaves early: all parts but the last have the same size.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PartSource {
    /// The next message. `None` if the source died.
    pub(super) async fn receive(&mut self) -> Option<Message> {
        self.parts.recv().await
    }
}

/// A buffer in use. When its last reference is dropped, it returns to the sink.
struct PooledBuffer {
    buffer: Vec<u8>,
    pool: mpsc::UnboundedSender<Vec<u8>>,
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let mut buffer = mem::take(&mut self.buffer);
        buffer.clear();
        // A dropped sink needs no buffer.
        let _ = self.pool.send(buffer);
    }
}

fn given_up() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the upload was aborted")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_parts(mut source: PartSource) -> (Vec<Vec<u8>>, bool) {
        let mut parts = Vec::new();
        loop {
            match source.parts.blocking_recv() {
                Some(Message::More(part)) => parts.push(part.to_vec()),
                Some(Message::End(part)) => {
                    parts.push(part.to_vec());
                    return (parts, true);
                }
                None => return (parts, false),
            }
        }
    }

    #[test]
    fn parts_are_full_but_the_last_which_is_never_empty_behind_others() {
        for length in 0..40_usize {
            let data: Vec<u8> = (0..length).map(|i| u8::try_from(i).unwrap()).collect();
            let (mut sink, source) = channel(8);
            let reader = std::thread::spawn(move || all_parts(source));
            for piece in data.chunks(3) {
                sink.write_all(piece).unwrap();
            }
            assert_eq!(sink.finish().unwrap(), length as u64);
            let (parts, ended) = reader.join().unwrap();
            assert!(ended);
            assert_eq!(parts.concat(), data);
            assert!(parts[..parts.len() - 1].iter().all(|part| part.len() == 8));
            assert!(
                parts.len() == 1 || !parts[parts.len() - 1].is_empty(),
                "{length}"
            );
        }
    }

    #[test]
    fn a_sink_dropped_without_finish_never_sends_the_end() {
        let (mut sink, source) = channel(8);
        sink.write_all(&[7; 20]).unwrap();
        drop(sink);
        let (parts, ended) = all_parts(source);
        assert_eq!((parts.len(), ended), (2, false));
    }

    #[test]
    fn a_fourth_buffer_is_never_made() {
        let (mut sink, mut source) = channel(4);
        let writer = std::thread::spawn(move || {
            sink.write_all(&[1; 40])?;
            sink.finish()
        });
        let held: Vec<_> = (0..2).map(|_| source.parts.blocking_recv()).collect();
        std::thread::sleep(std::time::Duration::from_millis(50));
        // Two are held, and the third is full or in use. No further part can be sent.
        assert!(source.parts.len() <= 1 && !writer.is_finished());
        drop(held);
        all_parts(source);
        assert_eq!(writer.join().unwrap().unwrap(), 40);
    }

    #[test]
    fn a_sink_that_waits_learns_that_the_upload_was_given_up() {
        let (mut sink, mut source) = channel(4);
        let writer = std::thread::spawn(move || sink.write_all(&[1; 400]));
        let held: Vec<_> = (0..2).map(|_| source.parts.blocking_recv()).collect();
        drop(source);
        drop(held);
        assert_eq!(
            writer.join().unwrap().unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }

    #[test]
    fn a_small_dump_costs_a_small_buffer() {
        let (mut sink, _source) = channel(8 << 20);
        sink.write_all(&[0; 10_000]).unwrap();
        assert!(sink.filling.capacity() <= FIRST_BYTES);
        sink.write_all(&vec![0; (8 << 20) - 10_000]).unwrap();
        assert_eq!(sink.filling.capacity(), 8 << 20);
    }
}
