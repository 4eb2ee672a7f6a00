//! Random streams: one per entity and purpose, the same bits on every machine.
//!
//! Belongs here: the generator, seeding, uniform, exponential and normal numbers.
//! Does not belong here: service times and other laws (sampler).
//!
//! The generator is xoshiro256++ (Blackman & Vigna 2021). A stream's state comes from the run's
//! seed and the entity's name, so that adding a station moves nobody else's draws.

use std::sync::LazyLock;

const LAYERS: usize = 256;
/// Start of the tail and area of a layer for 256 layers (Marsaglia & Tsang 2000).
const TAIL_START: f64 = 7.697_117_470_131_05;
const LAYER_AREA: f64 = 0.003_949_659_822_581_557;

/// Tables of the ziggurat for the exponential law, from portable logarithms.
static ZIGGURAT: LazyLock<Ziggurat> = LazyLock::new(Ziggurat::new);

struct Ziggurat {
    x: [f64; LAYERS + 1],
    f: [f64; LAYERS + 1],
}

impl Ziggurat {
    fn new() -> Self {
        let mut x = [0.0; LAYERS + 1];
        let mut f = [1.0; LAYERS + 1];
        x[0] = LAYER_AREA / libm::exp(-TAIL_START);
        x[1] = TAIL_START;
        for layer in 2..LAYERS {
            let above = LAYER_AREA / x[layer - 1] + libm::exp(-x[layer - 1]);
            x[layer] = -libm::log(above);
        }
        for layer in 0..LAYERS {
            f[layer] = libm::exp(-x[layer]);
        }
        Self { x, f }
    }
}

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream {
    state: [u64; 4],
}

impl Stream {
    /// The stream of this purpose of this entity in the run with this seed.
    #[must_use]
    pub fn new(seed: u64, entity: &str, purpose: &str) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        // 0xff occurs in no UTF-8 text, so it parts the two names.
        for byte in entity.bytes().chain([0xff]).chain(purpose.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut mixer = mix(seed) ^ hash;
        let mut next = || {
            mixer = mixer.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(mixer)
        };
        Self {
            state: [next(), next(), next(), next()],
        }
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Even on `0.0..1.0`, 53 bits.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// Even on `0..count`; `count` is above 0 (Lemire's multiplication, bias below 2^-32).
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the product is shifted below 2^32"
    )]
    pub fn below(&mut self, count: u32) -> u32 {
        ((u128::from(self.next_u64()) * u128::from(count)) >> 64) as u32
    }

    /// Exponential with mean 1.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        let tables = &*ZIGGURAT;
        let bits = self.next_u64();
        // The low 8 bits choose the layer, the high 53 the place: no bit serves twice.
        let layer = usize::from(bits.to_le_bytes()[0]);
        let x = unit(bits) * tables.x[layer];
        if x < tables.x[layer + 1] {
            return x;
        }
        self.exponential_at_the_edge(bits, tables)
    }

    /// What one draw in eighty or so needs.
    #[cold]
    #[inline(never)]
    fn exponential_at_the_edge(&mut self, bits: u64, tables: &Ziggurat) -> f64 {
        let mut bits = bits;
        loop {
            let layer = usize::from(bits.to_le_bytes()[0]);
            let x = unit(bits) * tables.x[layer];
            if x < tables.x[layer + 1] {
                return x;
            }
            if layer == 0 {
                return TAIL_START - libm::log(1.0 - self.uniform());
            }
            let height =
                tables.f[layer + 1] + (tables.f[layer] - tables.f[layer + 1]) * self.uniform();
            if height < libm::exp(-x) {
                return x;
            }
            bits = self.next_u64();
        }
    }

    /// Normal with mean 0 and variance 1 (Marsaglia's polar method, second value not kept).
    pub fn normal(&mut self) -> f64 {
        loop {
            let x = 2.0 * self.uniform() - 1.0;
            let y = 2.0 * self.uniform() - 1.0;
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * libm::log(square) / square).sqrt();
            }
        }
    }
}

/// Seed of the replication with this number; number 0 keeps the seed as given.
#[must_use]
pub fn replication_seed(seed: u64, replication: u64) -> u64 {
    if replication == 0 {
        seed
    } else {
        mix(seed ^ mix(replication.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

/// Steele, Lea & Flood 2014: the finalizer of splitmix64.
const fn mix(value: u64) -> u64 {
    let a = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ (b >> 31)
}

#[inline]
#[expect(
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "53 bits fit a float exactly, and a signed number converts in one instruction"
)]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as i64 as f64 * (1.0 / 9_007_199_254_740_992.0)
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of a test are small"
)]
mod tests {
    use super::*;

    /// Chi-squared statistic of `draws` sorted into 100 cells of equal probability by `cdf`.
    fn chi_squared(draws: usize, mut cdf: impl FnMut() -> f64) -> f64 {
        let mut cells = [0_u32; 100];
        for _ in 0..draws {
            let cell = (cdf() * 100.0).clamp(0.0, 99.0);
            cells[cell as usize] += 1;
        }
        let expected = draws as f64 / 100.0;
        cells
            .iter()
            .map(|count| (f64::from(*count) - expected) * (f64::from(*count) - expected) / expected)
            .sum()
    }

    #[test]
    fn draws_follow_their_laws() {
        let mut stream = Stream::new(1, "test", "laws");
        // 99 degrees of freedom: 161 is exceeded with probability 0.0001.
        let uniform = chi_squared(200_000, || stream.uniform());
        assert!(uniform < 161.0, "uniform {uniform}");
        let exponential = chi_squared(200_000, || 1.0 - libm::exp(-stream.exponential()));
        assert!(exponential < 161.0, "exponential {exponential}");
        let normal = chi_squared(200_000, || {
            0.5 * libm::erfc(-stream.normal() / std::f64::consts::SQRT_2)
        });
        assert!(normal < 161.0, "normal {normal}");
        let below = chi_squared(200_000, || f64::from(stream.below(100)) / 100.0 + 0.005);
        assert!(below < 161.0, "below {below}");
    }

    #[test]
    fn streams_differ_by_seed_entity_and_purpose() {
        let first = |seed, entity, purpose| Stream::new(seed, entity, purpose).next_u64();
        let base = first(1, "ab", "c");
        assert_ne!(base, first(2, "ab", "c"));
        assert_ne!(base, first(1, "a", "bc"));
        assert_ne!(base, first(1, "ab", "d"));
        assert_eq!(base, first(1, "ab", "c"));
        assert_eq!(replication_seed(7, 0), 7);
        assert_ne!(replication_seed(7, 1), replication_seed(7, 2));
    }

    #[test]
    fn the_first_draws_are_the_same_on_every_machine() {
        let mut stream = Stream::new(7, "server-1", "service");
        let draws: Vec<u64> = (0..3).map(|_| stream.exponential().to_bits()).collect();
        let normal = stream.normal().to_bits();
        // Reason for fixed bits: recordings made elsewhere must be simulated again here.
        assert_eq!(
            (draws, normal),
            (
                vec![
                    4_588_970_144_224_218_808,
                    4_599_583_073_464_177_651,
                    4_608_897_183_404_668_788
                ],
                13_832_264_775_818_479_453
            )
        );
    }
}
