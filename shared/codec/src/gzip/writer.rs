//! Compresses 256 KiB at a time on worker threads. Each piece becomes one gzip member, and members
//! keep the order of their input.
//!
//! Memory: at most two members per worker are under way, and one is being filled. Each has a buffer
//! for input and one for output. The total is `(2 × workers + 1) × 513 KiB`, and libdeflate's state
//! per worker: under 1 MiB up to level
//! 9. Start and end of a writer with one worker cost 50 µs, so small files use it too.

use std::{
    io::{self, Write},
    num::NonZeroUsize,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use libdeflater::{CompressionLvl, Compressor};

/// Input bytes of one member.
const MEMBER_BYTES: usize = 256 * 1024;

/// One in compression, one waiting.
const UNDER_WAY_PER_WORKER: usize = 2;

/// Sizes before and after compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GzipSummary {
    /// Bytes before compression.
    pub input_bytes: u64,
    /// Bytes after it.
    pub output_bytes: u64,
    /// Gzip members written: at least one.
    pub members: u64,
}

/// A compressing stage. Empty input becomes one empty member. After an error it accepts no more
/// input, so a stream with a gap cannot be finished.
pub struct GzipWriter<W> {
    inner: W,
    /// Member `n` goes to worker `n` modulo their number. This keeps the order.
    workers: Vec<Worker>,
    filling: Vec<u8>,
    idle: Vec<Member>,
    submitted: usize,
    written: usize,
    summary: GzipSummary,
    failed: bool,
}

/// The reusable buffers of one member.
#[derive(Default)]
struct Member {
    input: Vec<u8>,
    output: Vec<u8>,
    output_bytes: usize,
}

impl<W: Write> GzipWriter<W> {
    /// A stage for compression at `level` (libdeflate's: 1 is the fastest, 6 usual, 12 the
    /// smallest) on `threads` threads.
    ///
    /// # Errors
    /// `InvalidInput` for a level outside 1 to 12. The system's error if it cannot start a thread.
    pub fn new(inner: W, level: u8, threads: NonZeroUsize) -> io::Result<Self> {
        let level = Some(level)
            .filter(|level| *level >= 1)
            .and_then(|level| CompressionLvl::new(level.into()).ok())
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("invalid compression level {level}: expected 1 to 12"),
                )
            })?;
        Self::with_work(inner, threads, || {
            let mut compressor = Compressor::new(level);
            move |member: &mut Member| compress(&mut compressor, member)
        })
    }

    fn with_work<F>(inner: W, threads: NonZeroUsize, work: impl Fn() -> F) -> io::Result<Self>
    where
        F: FnMut(&mut Member) -> bool + Send + 'static,
    {
        let workers = (0..threads.get())
            .map(|_| Worker::start(work()))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            inner,
            workers,
            filling: Vec::with_capacity(MEMBER_BYTES),
            idle: Vec::new(),
            submitted: 0,
            written: 0,
            summary: GzipSummary::default(),
            failed: false,
        })
    }

    /// Writes the rest, waits for the workers and ends them.
    ///
    /// # Errors
    /// Those of `inner`, or a worker's death.
    pub fn finish(mut self) -> io::Result<(W, GzipSummary)> {
        self.guarded(|this| {
            if !this.filling.is_empty() || this.submitted == 0 {
                this.submit()?;
            }
            this.drain()
        })?;
        Ok((self.inner, self.summary))
    }

    fn guarded<T>(&mut self, step: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.failed {
            return Err(io::Error::other(
                "cannot compress more: an earlier write failed",
            ));
        }
        let result = step(self);
        self.failed = result.is_err();
        result
    }

    fn fill(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(MEMBER_BYTES - self.filling.len());
        self.filling.extend_from_slice(&bytes[..length]);
        if self.filling.len() == MEMBER_BYTES {
            self.submit()?;
        }
        Ok(length)
    }

    /// Passes the gathered bytes to a worker. Waits first if every worker is busy.
    fn submit(&mut self) -> io::Result<()> {
        if self.submitted - self.written == self.workers.len() * UNDER_WAY_PER_WORKER {
            self.write_oldest()?;
        }
        let mut member = self.idle.pop().unwrap_or_default();
        self.summary.input_bytes += self.filling.len() as u64;
        std::mem::swap(&mut member.input, &mut self.filling);
        self.workers[self.submitted % self.workers.len()].submit(member)?;
        self.submitted += 1;
        Ok(())
    }

    fn drain(&mut self) -> io::Result<()> {
        while self.written < self.submitted {
            self.write_oldest()?;
        }
        Ok(())
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        let mut member = self.workers[self.written % self.workers.len()].take()?;
        self.inner
            .write_all(&member.output[..member.output_bytes])?;
        self.summary.output_bytes += member.output_bytes as u64;
        self.summary.members += 1;
        self.written += 1;
        member.input.clear();
        self.idle.push(member);
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.guarded(|this| this.fill(bytes))
    }

    /// Ends the present member, so that all bytes so far can be read. It costs compression: do not
    /// flush after each write.
    fn flush(&mut self) -> io::Result<()> {
        self.guarded(|this| {
            if !this.filling.is_empty() {
                this.submit()?;
            }
            this.drain()?;
            this.inner.flush()
        })
    }
}

/// Makes `member.output`. `false` on failure: the worker then ends.
fn compress(compressor: &mut Compressor, member: &mut Member) -> bool {
    let bound = compressor.gzip_compress_bound(member.input.len());
    if member.output.len() < bound {
        member.output.resize(bound, 0);
    }
    match compressor.gzip_compress(&member.input, &mut member.output) {
        Ok(length) => {
            member.output_bytes = length;
            true
        }
        Err(_) => false,
    }
}

/// A thread, and its two bounded channels. Dropping it closes both, and waits for the thread to
/// end.
struct Worker {
    ends: Option<(SyncSender<Member>, Receiver<Member>)>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(mut work: impl FnMut(&mut Member) -> bool + Send + 'static) -> io::Result<Self> {
        let (submit, submitted) = sync_channel::<Member>(UNDER_WAY_PER_WORKER);
        let (done, take) = sync_channel(UNDER_WAY_PER_WORKER);
        let run = move || {
            for mut member in submitted {
                if !work(&mut member) || done.send(member).is_err() {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("gzip".to_owned()).spawn(run)?;
        Ok(Self {
            ends: Some((submit, take)),
            thread: Some(thread),
        })
    }

    fn submit(&self, member: Member) -> io::Result<()> {
        let sent = self
            .ends
            .as_ref()
            .and_then(|(submit, _)| submit.send(member).ok());
        sent.ok_or_else(died)
    }

    fn take(&self) -> io::Result<Member> {
        self.ends
            .as_ref()
            .and_then(|(_, take)| take.recv().ok())
            .ok_or_else(died)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.ends.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the worker was already an error of `take` or `submit`, or its result is
            // not needed.
            drop(thread.join());
        }
    }
}

fn died() -> io::Error {
    io::Error::other("a compression worker died: the stream is incomplete")
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use proptest::prelude::*;

    use super::*;
    use crate::GunzipReader;

    fn threads(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    /// Neither random nor constant.
    fn sample(size: usize) -> Vec<u8> {
        (0_u32..)
            .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> (n % 24)).to_le_bytes())
            .take(size)
            .collect()
    }

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        GunzipReader::new(bytes).read_to_end(&mut plain).unwrap();
        plain
    }

    #[test]
    fn nothing_becomes_one_empty_member() {
        let (bytes, summary) = GzipWriter::new(Vec::new(), 6, threads(2))
            .unwrap()
            .finish()
            .unwrap();
        assert_eq!(
            summary,
            GzipSummary {
                input_bytes: 0,
                output_bytes: bytes.len() as u64,
                members: 1
            }
        );
        assert!(gunzip(&bytes).is_empty());
    }

    #[test]
    fn levels_outside_1_to_12_are_refused() {
        for level in [0, 13, 255] {
            let error = GzipWriter::new(Vec::new(), level, threads(1))
                .err()
                .unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_flush_makes_all_bytes_so_far_readable() {
        let mut writer = GzipWriter::new(Vec::new(), 1, threads(2)).unwrap();
        writer.write_all(b"hold").unwrap();
        writer.flush().unwrap();
        writer.flush().unwrap();
        assert_eq!(gunzip(&writer.inner), b"hold");
        writer.write_all(b"fast").unwrap();
        let (bytes, summary) = writer.finish().unwrap();
        assert_eq!(
            (gunzip(&bytes).as_slice(), summary.members),
            (&b"holdfast"[..], 2)
        );
    }

    #[test]
    fn a_dropped_writer_stops_its_workers_and_writes_no_end() {
        let alive = Arc::new(AtomicUsize::new(0));
        let mut written = Vec::new();
        let mut writer = GzipWriter::with_work(&mut written, threads(3), || {
            let alive = Arc::clone(&alive);
            move |_: &mut Member| Arc::strong_count(&alive) > 0
        })
        .unwrap();
        assert_eq!(Arc::strong_count(&alive), 4);
        writer.write_all(&sample(MEMBER_BYTES * 3 / 2)).unwrap();
        drop(writer);
        assert_eq!((Arc::strong_count(&alive), written.len()), (1, 0));
    }

    #[test]
    fn the_death_of_a_worker_is_an_error_and_never_a_shorter_stream() {
        let count = Arc::new(AtomicUsize::new(0));
        let mut writer = GzipWriter::with_work(Vec::new(), threads(2), || {
            let count = Arc::clone(&count);
            move |_: &mut Member| {
                assert!(
                    count.fetch_add(1, Ordering::SeqCst) != 2,
                    "the worker dies, as this test wants"
                );
                true
            }
        })
        .unwrap();
        let failed = (0..20).any(|_| writer.write_all(&sample(MEMBER_BYTES)).is_err());
        assert!(
            failed
                && writer.write(b"x").is_err()
                && writer.flush().is_err()
                && writer.finish().is_err()
        );
    }

    #[test]
    fn no_more_members_are_under_way_than_the_bound() {
        let mut writer = GzipWriter::new(io::sink(), 1, threads(2)).unwrap();
        for _ in 0..30 {
            writer.write_all(&sample(MEMBER_BYTES)).unwrap();
            assert!(writer.submitted - writer.written <= 4);
        }
        writer.flush().unwrap();
        assert!(writer.idle.len() <= 5, "{} buffers", writer.idle.len());
    }

    #[test]
    fn an_error_of_the_inner_writer_ends_the_stage() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = GzipWriter::new(Full, 1, threads(1)).unwrap();
        writer.write_all(b"x").unwrap();
        assert_eq!(
            writer.flush().unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        assert!(writer.finish().is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn what_was_compressed_is_read_in_order(
            members in 0_usize..6, beside in -1_isize..=1, chunk in 1_usize..400_000, count in 1_usize..5, level in 1_u8..=9,
        ) {
            let plain = sample((members * MEMBER_BYTES).saturating_add_signed(beside));
            let mut writer = GzipWriter::new(Vec::new(), level, threads(count)).unwrap();
            for piece in plain.chunks(chunk) {
                writer.write_all(piece).unwrap();
            }
            let (bytes, summary) = writer.finish().unwrap();
            prop_assert!(gunzip(&bytes) == plain);
            prop_assert_eq!((summary.input_bytes, summary.output_bytes), (plain.len() as u64, bytes.len() as u64));
            prop_assert_eq!(summary.members, plain.len().div_ceil(MEMBER_BYTES).max(1) as u64);
        }
    }
}
