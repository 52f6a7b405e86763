import torch.nn as nn


class RNNModel(nn.Module):
    def __init__(self, rnn_type='RNN_RELU', ninp=6, nhid=5, nlayers=2):
        super(RNNModel, self).__init__()
        if rnn_type in ['LSTM', 'GRU']:
            self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers)
        else:
            try:
                nonlinearity = {'RNN_TANH': 'tanh', 'RNN_RELU': 'relu'}[rnn_type]
            except KeyError:
                raise ValueError('An invalid option for `--model` was supplied')
            self.rnn = nn.RNN(ninp, nhid, nlayers, nonlinearity=nonlinearity)  # <- rnn
        self.decoder = nn.Linear(nhid, 3)
