/** Operators that have no gradient to hand on: shapes, choices, comparisons, steps. PyTorch's gradients of them are zero or none. */
import { defineFlat } from './rule';

defineFlat('Shape Size Range ConstantOfShape EyeLike OneHot NonZero Not And Or Xor Equal Less LessOrEqual Greater GreaterOrEqual IsNaN IsInf');
defineFlat('ArgMax ArgMin Floor Ceil Round Sign BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitShift RandomNormalLike RandomUniformLike Bernoulli Constant QuantizeLinear');
