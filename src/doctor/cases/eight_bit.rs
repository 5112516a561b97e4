//! AdamW whose moments are kept in 8 bits: blocks of codes, and one in f32 among them.

use super::super::case::{Case, Claim, Want, bytes};
use super::optim::{in_any_order, opened, optimizer, plain, range};
use crate::check::{Element, Near, Settings, TensorTerms, noise};
use crate::error::Result;
use crate::kernel::eight_bit::kernel;
use crate::kernel::update::{BLOCK_BYTES, GRADIENTS, PARAMETERS, UpdateContext};
use crate::kernel::{Family, Target};
use crate::optim::ABSMAX;

/// Blocks of codes, before one in f32.
const NARROW: usize = 9;
/// Numbers of a block.
const BLOCK: usize = BLOCK_BYTES as usize / 4;
const COUNT: usize = (NARROW + 1) * BLOCK;

/// absmax (c / 127) |c / 127|
fn first(most: f32, code: i8) -> Near {
    let c = Near::exact(code.into()) / Near::exact(127.0);
    Near::exact(most) * (c * c.abs())
}

/// absmax (c / 255)^4
fn second(most: f32, code: u8) -> Near {
    let c = Near::exact(code.into()) / Near::exact(255.0);
    let square = c * c;
    Near::exact(most) * (square * square)
}

/// 127 sign(m) sqrt(|m| / absmax)
fn first_code(m: Near, most: Near) -> Near {
    let root = Near::exact(127.0) * (m.abs() / most).sqrt();
    Near { value: root.value.copysign(m.value), ..root }
}

/// 255 (v / absmax)^(1/4), at least 1 where v is not 0
fn second_code(v: Near, most: Near) -> Near {
    let root = Near::exact(255.0) * (v / most).sqrt().sqrt();
    if v.value > 0.0 { root.max(Near::exact(1.0)) } else { root }
}

pub(super) fn cases(target: Target) -> Result<Vec<Case>> {
    let around = plain((4 * COUNT) as u64, target.family);
    let mut all = vec![case(&around, "codes, and a block in f32")?];
    if target.subgroups && target.family == Family::Tiled {
        let around = UpdateContext { subgroups: true, ..around };
        all.push(case(&around, "codes, and a block in f32, by subgroups")?);
    }
    Ok(all)
}

fn case(around: &UpdateContext<'_>, what: &str) -> Result<Case> {
    let adamw = optimizer("name = 'adamw'; state_bits = 8; weight_decay = 0.1")?;
    let (update, settings, t) = (adamw.kernel(), Settings::from_optimizer(&adamw)?, 10);
    let size = (4 * COUNT) as u64;
    let wide = BLOCK_BYTES * NARROW as u64..size;
    let kernel = kernel(&update, around, std::slice::from_ref(&wide), COUNT);

    let numbers = |seed, name, count| {
        let [low, high] = range(name);
        noise(seed, count, low, high)
    };
    let (param, grad) = (numbers(91, PARAMETERS, COUNT), numbers(92, GRADIENTS, COUNT));
    let m = noise(93, NARROW * BLOCK, -127.0, 127.0).iter().map(|x| *x as i8).collect::<Vec<_>>();
    let v = noise(94, NARROW * BLOCK, 1.0, 256.0).iter().map(|x| *x as u8).collect::<Vec<_>>();
    let most = noise(95, 2 * NARROW, 0.25, 1.0);
    let (wide_m, wide_v) = (numbers(96, "exp_avg", BLOCK), numbers(97, "exp_avg_sq", BLOCK));

    let names = ["exp_avg", "exp_avg_sq"];
    let (mut params, mut moments) = (Vec::new(), [Vec::new(), Vec::new()]);
    for i in 0..COUNT {
        let block = i / BLOCK;
        let slots = match i.checked_sub(NARROW * BLOCK) {
            Some(i) => [Near::exact(wide_m[i]), Near::exact(wide_v[i])],
            None => [first(most[2 * block], m[i]), second(most[2 * block + 1], v[i])],
        };
        let (param, grad) = (Near::exact(param[i]), Near::exact(grad[i]));
        let mut e = Element { param, grad, names: &names, slots: slots.to_vec() };
        e.step(&settings, t, TensorTerms::default())?;
        params.push(in_any_order(e.param));
        moments.iter_mut().zip(e.slots).for_each(|(all, near)| all.push(near));
    }
    let [m_after, v_after] = moments.each_ref().map(|all| all.as_slice());
    let largest = |block: &[Near]| block.iter().map(|near| near.abs()).reduce(Near::max).unwrap_or_default();
    let (mut codes, mut scales) = ([Vec::new(), Vec::new()], Vec::new());
    for (m, v) in m_after.chunks(BLOCK).zip(v_after.chunks(BLOCK)).take(NARROW) {
        let most = [largest(m), largest(v)];
        codes[0].extend(m.iter().map(|m| first_code(*m, most[0])));
        codes[1].extend(v.iter().map(|v| second_code(*v, most[1])));
        scales.extend(most.map(in_any_order));
    }
    let claim =
        |buffer: &str, offset: usize, want| Claim { buffer: buffer.into(), offset: offset as u64, want };
    let mut claims =
        vec![claim(PARAMETERS, 0, Want::Numbers(params)), claim(ABSMAX, 0, Want::Numbers(scales))];
    for ((name, codes), after) in names.iter().zip(codes).zip([m_after, v_after]) {
        claims.push(claim(name, 0, Want::Codes(codes)));
        let wide = after[NARROW * BLOCK..].iter().map(|near| in_any_order(*near)).collect();
        claims.push(claim(name, NARROW * BLOCK, Want::Numbers(wide)));
    }
    let m: Vec<u8> = m.iter().map(|c| c.cast_unsigned()).chain(bytes(&wide_m)).collect();
    let v: Vec<u8> = v.into_iter().chain(bytes(&wide_v)).collect();
    let mut given = vec![
        (PARAMETERS, bytes(&param)),
        (GRADIENTS, bytes(&grad)),
        (names[0], m),
        (names[1], v),
        (ABSMAX, bytes(&most)),
    ];
    given.extend(opened(&adamw, t));
    Ok(Case::of_kernels(update.shader, what, vec![kernel], given, &[], claims))
}
