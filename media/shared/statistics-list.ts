/** The statistics of one weight as a description list, in words. */
import type { WeightStatistics } from '../../server/protocol';
import { h } from './dom';
import { integer, percent, short } from './numbers';

export function statisticsList(s: WeightStatistics): HTMLElement {
  const rows: readonly (readonly [string, string, string])[] = [
    ['Weights', integer(s.count), ''],
    ['Range', `${short(s.min)} to ${short(s.max)}`, ''],
    ['Mean, standard deviation', `${short(s.mean)}, ${short(s.std)}`, ''],
    ['Absmax over rms', short(s.absmaxOverRms), 'how much of the scale is spent on the largest weight'],
    ['Kurtosis', short(s.kurtosis), '3 for a normal distribution; larger means heavier tails'],
    ['Outliers', percent(s.outlierShare), 'further than 6 standard deviations from the mean'],
    ['Channel range spread', short(s.channelRangeSpread), 'largest channel absmax over the median one'],
    ['Dead channels', integer(s.deadChannelCount), 'output channels of zeros only'],
    ['ZD', percent(s.zd), 'share of weights whose z-score exceeds 1; 15.9 % for a normal distribution'],
    ['NaN, Inf', `${integer(s.nan)}, ${integer(s.inf)}`, 'left out of every other number'],
  ];
  return h('dl', { class: 'statistics' }, ...rows.flatMap(([term, value, help]) => [
    h('dt', { title: help || null }, term), h('dd', {}, value)]));
}
