import torch
import torch.nn as nn
import torch.nn.functional as F
import numpy as np


class STNkd(nn.Module):
    def __init__(self, k=8):
        super(STNkd, self).__init__()
        self.conv1 = torch.nn.Conv1d(k, 8, 1)
        self.conv2 = torch.nn.Conv1d(8, 16, 1)
        self.fc1 = nn.Linear(16, 12)
        self.fc2 = nn.Linear(12, k*k)
        self.relu = nn.ReLU()
        self.bn1 = nn.BatchNorm1d(8)
        self.k = k


class PointNetfeat(nn.Module):
    def __init__(self, global_feat=True, feature_transform=False):
        super(PointNetfeat, self).__init__()
        self.stn = STNkd(k=3)
        self.conv1 = torch.nn.Conv1d(3, 8, 1)
        self.bn1 = nn.BatchNorm1d(8)
        self.global_feat = global_feat
        self.feature_transform = feature_transform
        if self.feature_transform:
            self.fstn = STNkd(k=8)


class PointNetCls(nn.Module):
    def __init__(self, k=2, feature_transform=True):
        super(PointNetCls, self).__init__()
        self.feature_transform = feature_transform
        self.feat = PointNetfeat(global_feat=True, feature_transform=feature_transform)
        self.fc1 = nn.Linear(16, 8)
        self.fc2 = nn.Linear(8, k)
        self.dropout = nn.Dropout(p=0.3)
